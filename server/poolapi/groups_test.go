package poolapi_test

func groupContracts() map[string]contract {
	return map[string]contract{}
}
