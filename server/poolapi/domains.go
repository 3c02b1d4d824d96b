package poolapi

func domainOperations() []operation {
	return []operation{
		later("CreateUserPoolDomain", admin),
		later("DescribeUserPoolDomain", admin),
		later("UpdateUserPoolDomain", admin),
		later("DeleteUserPoolDomain", admin),
	}
}
