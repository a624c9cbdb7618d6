#include "server/check/check.h"

#include <stdio.h>
#include <string.h>

/* Answered by resolvers themselves: RFC 6761, RFC 7686, RFC 9476. */
static const char *const zone_special[] = {"localhost", "invalid", "onion", "alt"};

/* Top-level domains that people take for private ones. The root zone has many more; those are found
 * by asking, where there is somebody to ask. */
static const char *const zone_public[] = {"app", "arpa", "biz", "box", "cloud", "com", "dev",
	"domains", "edu", "gov", "host", "info", "int", "mil", "net", "network", "org", "page",
	"prod", "run", "site", "systems", "zip", "zone"};

static bool zone_is_one_of(const char *word, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(word, words[i]) == 0)
			return true;
	}
	return false;
}

/* Each word of two letters is a country's, or kept for one (ISO 3166). */
static bool zone_is_country(const char *word)
{
	return strlen(word) == 2 && word[0] >= 'a' && word[0] <= 'z' && word[1] >= 'a' &&
	       word[1] <= 'z';
}

/* Somebody else answers for it. */
static bool zone_exists_elsewhere(const struct check *check, size_t position)
{
	const struct check_question *outside;

	if (position >= check->asked.outside_count)
		return false;
	outside = &check->asked.outside[position];
	return outside->has_replied && outside->rcode == DNS_RCODE_NOERROR &&
	       outside->mname[0] != '\0' &&
	       !check_dns_is_ours(outside, check->conf->conf.zones[position]);
}

static void zone_mend(struct check *check)
{
	check_mend(&check->report,
		"choose another: [zone] name = libvirt in '%s' (or a name below .internal or "
		"home.arpa, or of a domain of your own)",
		check->conf->path);
}

static bool zone_tell_special(struct check *check, const char *zone, const char *top)
{
	if (strcmp(top, "local") == 0) {
		if (check_find(&check->report, CHECK_ZONE_MDNS, "the zone '%s' is below '.local'",
			    zone))
			zone_mend(check);
		return true;
	}
	if (!zone_is_one_of(top, zone_special, sizeof(zone_special) / sizeof(zone_special[0])))
		return false;
	if (check_find(
		    &check->report, CHECK_ZONE_SPECIAL, "the zone '%s' is below '.%s'", zone, top))
		zone_mend(check);
	return true;
}

static void zone_look(struct check *check, size_t position)
{
	const char *zone = check->conf->conf.zones[position];
	const char *dot = strrchr(zone, '.');
	const char *top = dot ? dot + 1 : zone;
	bool is_known = !dot && (zone_is_country(zone) ||
					zone_is_one_of(zone, zone_public,
						sizeof(zone_public) / sizeof(zone_public[0])));

	if (zone_tell_special(check, zone, top))
		return;
	if (zone_exists_elsewhere(check, position)) {
		if (check_find(&check->report, CHECK_ZONE_PUBLIC,
			    "the zone '%s' exists already: %s answers for it", zone,
			    check->asked.outside[position].mname))
			zone_mend(check);
	} else if (is_known) {
		if (check_find(&check->report, CHECK_ZONE_PUBLIC,
			    "the zone '%s' is a top-level domain of the Internet", zone))
			zone_mend(check);
	} else {
		check_fact(&check->report, "zone", "'%s' is nobody else's", zone);
	}
}

void check_zones(struct check *check)
{
	for (size_t i = 0; i < check->conf->conf.zone_count; i++)
		zone_look(check, i);
}
