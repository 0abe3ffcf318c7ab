# What an application needs: headers, libraries, aicc-run, and how to find them.
#   cmake --install build --component runtime --prefix /opt/aicc
include(CMakePackageConfigHelpers)
install(TARGETS aicc_runtime aicc_runtime_static aicc-run EXPORT aiccTargets
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime
    NAMELINK_COMPONENT runtime
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime)
# The runtime opens it where it lies itself.
install(TARGETS aicc_host LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  COMPONENT runtime)
install(DIRECTORY include/aicc DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  COMPONENT runtime)
set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/aicc)
install(EXPORT aiccTargets NAMESPACE aicc:: DESTINATION ${config_dir}
  COMPONENT runtime)
configure_file(aiccConfig.cmake.in aiccConfig.cmake @ONLY)
write_basic_package_version_file(aiccConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
configure_file(aicc.pc.in aicc.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/aiccConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/aiccConfigVersion.cmake
  DESTINATION ${config_dir} COMPONENT runtime)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/aicc.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT runtime)
