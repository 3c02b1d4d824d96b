package poolapi

func groupOperations() []operation {
	return []operation{
		later("CreateGroup", admin),
		later("GetGroup", admin),
		later("UpdateGroup", admin),
		later("DeleteGroup", admin),
		later("ListGroups", admin),
		later("AdminAddUserToGroup", admin),
		later("AdminRemoveUserFromGroup", admin),
		later("AdminListGroupsForUser", admin),
		later("ListUsersInGroup", admin),
	}
}
