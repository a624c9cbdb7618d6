#include "nss/question.h"

bool question_init(struct question *question, const char *name)
{
	struct bytes text = bytes_of_text(name);

	if (text.len && text.ptr[text.len - 1] == '.')
		text.len--;
	if (text.len == 0 || text.len > sizeof(question->literal))
		return false;
	for (size_t i = 0; i < text.len; i++)
		question->literal[i] = byte_lower(text.ptr[i]);
	question->literal_len = text.len;
	question->stripped_len = 0;
	question->zone_len = 0;
	question->is_apex = false;
	return true;
}

void question_try_zone(struct question *question, struct bytes zone)
{
	struct bytes name = question_literal(question);
	struct bytes tail;

	if (bytes_equal(name, zone))
		question->is_apex = true;
	if (zone.len <= question->zone_len || name.len < zone.len + 2)
		return;
	tail = (struct bytes){name.ptr + name.len - zone.len, zone.len};
	if (!bytes_equal(tail, zone) || tail.ptr[-1] != '.')
		return;
	question->zone_len = zone.len;
	question->stripped_len = name.len - zone.len - 1;
}
