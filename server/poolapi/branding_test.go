package poolapi_test

func brandingContracts() map[string]contract {
	return map[string]contract{}
}
