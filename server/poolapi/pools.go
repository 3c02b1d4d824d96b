package poolapi

func poolOperations() []operation {
	return []operation{
		later("CreateUserPool", admin),
		later("DescribeUserPool", admin),
		later("UpdateUserPool", admin),
		later("DeleteUserPool", admin),
		later("ListUserPools", admin),
		later("AddCustomAttributes", admin),
		later("GetSigningCertificate", admin),
	}
}
