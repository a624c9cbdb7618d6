/* hosts(5), as libvirt gives it to dnsmasq's --addn-hosts: an address, then its names. */
#include "format.h"

#include "format_internal.h"

static struct bytes without_comment(struct bytes line)
{
	const uint8_t *mark = line.len ? memchr(line.ptr, '#', line.len) : NULL;

	if (mark)
		line.len = (size_t)(mark - line.ptr);
	return format_trim(line);
}

/** Takes the first word off `rest`, which has no blanks at either end and is not empty. */
static struct bytes take_word(struct bytes *rest)
{
	struct bytes word = {rest->ptr, 0};

	while (word.len < rest->len && !format_is_blank(word.ptr[word.len]))
		word.len++;
	rest->ptr += word.len;
	rest->len -= word.len;
	*rest = format_trim(*rest);
	return word;
}

/** False if the parse ends here. */
static bool parse_line(struct format_run *run, struct bytes line)
{
	struct record record = {.kind = RECORD_STATIC};
	struct bytes rest = line;

	if (line.len > FORMAT_LINE_OCTETS_MAX)
		return format_run_skip(run, FORMAT_DEFECT_SYNTAX, line.ptr);
	rest = without_comment(line);
	if (rest.len == 0)
		return true;
	if (!address_parse(take_word(&rest), &record.address) || !address_is_host(&record.address))
		return format_run_skip(run, FORMAT_DEFECT_ADDRESS, line.ptr);
	if (rest.len == 0)
		return format_run_skip(run, FORMAT_DEFECT_NAME, line.ptr);
	while (rest.len > 0) {
		record.name = take_word(&rest);
		if (!format_run_record(run, &record))
			return false;
	}
	return true;
}

static enum parser_status parse_addnhosts(
	struct format_text *text, record_sink sink, void *ctx, struct format_report *out_report)
{
	struct format_run run = {.text = text, .sink = sink, .ctx = ctx};
	struct bytes line;

	while (format_run_line(&run, &line) && parse_line(&run, line))
		;
	*out_report = run.report;
	return run.status;
}

const struct format format_libvirt_addnhosts = {
	.name = "hosts file",
	.suffix = ".addnhosts",
	.stem = FORMAT_STEM_NETWORK,
	.parse = parse_addnhosts,
};
