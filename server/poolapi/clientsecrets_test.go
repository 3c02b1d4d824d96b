package poolapi_test

func clientSecretContracts() map[string]contract {
	return map[string]contract{}
}
