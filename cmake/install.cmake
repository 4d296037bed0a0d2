# make install: headers, static and shared library, the program, pkg-config and CMake package files.
include(CMakePackageConfigHelpers)
string(REGEX REPLACE "::[A-Z]+" "" SUMI_PICTURE_PACKAGES "${SUMI_PICTURES}") # what the static library wants
string(REPLACE ";" " " SUMI_PICTURE_PACKAGES "${SUMI_PICTURE_PACKAGES}")
string(REPLACE ";" " " SUMI_MODULE_PACKAGES "${SUMI_MODULES_FOUND}")
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/sumi)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/sumi DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(TARGETS sumi sumi_static EXPORT sumiTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT sumiTargets NAMESPACE sumi:: DESTINATION ${package})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/sumiConfig.cmake.in ${CMAKE_BINARY_DIR}/sumiConfig.cmake
  INSTALL_DESTINATION ${package})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/sumiConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/sumiConfig.cmake ${CMAKE_BINARY_DIR}/sumiConfigVersion.cmake DESTINATION ${package})

file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /) # the files may be moved as a whole
string(TOLOWER "lib${SUMI_PICTURE_PACKAGES}" pc_requires)
string(REPLACE " " " lib" pc_requires "${pc_requires}")
foreach(entry ${SUMI_MODULES_FOUND}) # NAME, module, NAME, module, ...
  if(entry MATCHES "^lib")
    string(REGEX REPLACE ">=(.*)" " >= \\1" entry "${entry}")
    string(APPEND pc_requires ", ${entry}")
  endif()
endforeach()
configure_file(${CMAKE_CURRENT_LIST_DIR}/sumi.pc.in ${CMAKE_BINARY_DIR}/sumi.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/sumi.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
