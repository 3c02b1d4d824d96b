package poolapi

func providerOperations() []operation {
	return []operation{
		later("CreateIdentityProvider", admin),
		later("DescribeIdentityProvider", admin),
		later("UpdateIdentityProvider", admin),
		later("DeleteIdentityProvider", admin),
		later("ListIdentityProviders", admin),
		later("GetIdentityProviderByIdentifier", admin),
	}
}
