package poolapi

func linkingOperations() []operation {
	return []operation{
		later("AdminLinkProviderForUser", admin),
		later("AdminDisableProviderForUser", admin),
	}
}
