package poolapi

func clientOperations() []operation {
	return []operation{
		later("CreateUserPoolClient", admin),
		later("DescribeUserPoolClient", admin),
		later("UpdateUserPoolClient", admin),
		later("DeleteUserPoolClient", admin),
		later("ListUserPoolClients", admin),
	}
}
