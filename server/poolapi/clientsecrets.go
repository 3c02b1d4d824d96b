package poolapi

func clientSecretOperations() []operation {
	return []operation{
		later("AddUserPoolClientSecret", admin),
		later("ListUserPoolClientSecrets", admin),
		later("DeleteUserPoolClientSecret", admin),
	}
}
