package poolapi

import "slices"

// operations is the table: a row for each operation of the model and of our own. The rows stand beside the functions, one file for an area.
func operations() []operation {
	return slices.Concat(
		poolOperations(), mfaOperations(), domainOperations(), clientOperations(), clientSecretOperations(), providerOperations(),
		resourceServerOperations(), groupOperations(), userOperations(), attributeOperations(), linkingOperations(), tagOperations(), brandingOperations(),
		tokenOperations(), selfOperations(), signUpOperations(), unplannedOperations(), ownOperations(), mergeOperations(),
	)
}

// signUpOperations are those of local accounts that make and recover themselves.
func signUpOperations() []operation {
	return []operation{
		later("SignUp", public),
		later("ConfirmSignUp", public),
		later("ResendConfirmationCode", public),
		later("ForgotPassword", public),
		later("ConfirmForgotPassword", public),
		later("AdminConfirmSignUp", admin),
		later("AdminResetUserPassword", admin),
		later("AdminSetUserPassword", admin),
		later("AdminSetUserMFAPreference", admin),
		later("AdminSetUserSettings", admin),
		later("AdminGetUserAuthFactors", admin),
		later("AdminForgetDevice", admin),
		later("AdminGetDevice", admin),
		later("AdminListDevices", admin),
		later("AdminUpdateDeviceStatus", admin),
	}
}

// unplannedOperations are those of parts of the original that no issue of Weir's has taken on.
func unplannedOperations() []operation {
	return []operation{
		later("AdminListUserAuthEvents", admin),
		later("AdminUpdateAuthEventFeedback", admin),
		later("UpdateAuthEventFeedback", public),
		later("DescribeRiskConfiguration", admin),
		later("SetRiskConfiguration", admin),
		later("CreateUserImportJob", admin),
		later("DescribeUserImportJob", admin),
		later("ListUserImportJobs", admin),
		later("StartUserImportJob", admin),
		later("StopUserImportJob", admin),
		later("GetCSVHeader", admin),
		later("GetLogDeliveryConfiguration", admin),
		later("SetLogDeliveryConfiguration", admin),
		later("GetProvisionedLimit", admin),
		later("UpdateProvisionedLimit", admin),
		later("CreateTerms", admin),
		later("DeleteTerms", admin),
		later("DescribeTerms", admin),
		later("ListTerms", admin),
		later("UpdateTerms", admin),
		later("CreateUserPoolReplica", admin),
		later("DeleteUserPoolReplica", admin),
		later("ListUserPoolReplicas", admin),
		later("UpdateUserPoolReplica", admin),
		later("CreateManagedLoginBranding", admin),
		later("DeleteManagedLoginBranding", admin),
		later("DescribeManagedLoginBranding", admin),
		later("DescribeManagedLoginBrandingByClient", admin),
		later("UpdateManagedLoginBranding", admin),
	}
}
