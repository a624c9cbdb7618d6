# Run by CPack on what it has laid out, before it is packed: manual pages are compressed, as both
# kinds of package want them, and every time is SOURCE_DATE_EPOCH.
file(GLOB_RECURSE pages LIST_DIRECTORIES false
	${CPACK_TEMPORARY_DIRECTORY}/*/usr/share/man/*.[1-8])
foreach(page IN LISTS pages)
	execute_process(COMMAND gzip -9n ${page} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
execute_process(COMMAND find ${CPACK_TEMPORARY_DIRECTORY} -exec
	touch -h -d @$ENV{SOURCE_DATE_EPOCH} {} +
	COMMAND_ERROR_IS_FATAL ANY)
