package pool

// CommonDetails are the keys of ProviderDetails that are the directory's to read and to check, for every type of provider.
func CommonDetails() []string {
	return []string{
		detailGroupClaim, detailGroupRules, detailGroupAbsent,
		detailLinkUsers, detailTrustedDomains, detailLinkSources,
		DetailKeepAssertions, DetailKeepAssertionsDays, DetailRedactAssertions,
	}
}
