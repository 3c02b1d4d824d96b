package poolapi

func userOperations() []operation {
	return []operation{
		later("AdminCreateUser", admin),
		later("AdminGetUser", admin),
		later("AdminUpdateUserAttributes", admin),
		later("AdminDeleteUserAttributes", admin),
		later("AdminDeleteUser", admin),
		later("AdminEnableUser", admin),
		later("AdminDisableUser", admin),
		later("AdminUserGlobalSignOut", admin),
		later("ListUsers", admin),
	}
}
