# aicc_add_driver(NAME sources... [TABLES names... FAMILIES names...]
# [LINK libs...]): the driver of
# the backend in backends/NAME/driver. It sees the public headers in runtime/include and
# nothing else of the project, defines
#     extern "C" const aicc_driver *aicc_driver_NAME(void);
# (or one such function for each of TABLES, which serve these FAMILIES)
# and becomes part of the runtime library. PART is what several drivers share, with
# no table of its own; those drivers say USES_PARTS.
function(aicc_add_driver name)
  cmake_parse_arguments(ARG "PART;USES_PARTS" "" "TABLES;FAMILIES;LINK" ${ARGN})
  if(NOT ARG_TABLES AND NOT ARG_PART)
    set(ARG_TABLES ${name})
    set(ARG_FAMILIES ${name})
  endif()
  set(library aicc_driver_${name})
  add_library(${library} OBJECT ${ARG_UNPARSED_ARGUMENTS})
  add_library(aicc::backends::${name}::driver ALIAS ${library})
  target_include_directories(${library} PRIVATE ${PROJECT_SOURCE_DIR}/runtime/include)
  if(ARG_PART OR ARG_USES_PARTS)
    target_include_directories(${library} PRIVATE ${PROJECT_SOURCE_DIR})
  endif()
  target_link_libraries(${library} PRIVATE ${ARG_LINK})
  target_compile_options(${library} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti>)
  # Each driver says what the handles are, and all become one library: without
  # names of their own, the linker would take one driver's destructors and
  # containers for another's. To the runtime they are opaque, as to drivers that
  # are made of parts.
  if(NOT ARG_PART AND NOT ARG_USES_PARTS)
    foreach(handle device stream event module kernel graph)
      target_compile_definitions(${library} PRIVATE
        aicc_driver_${handle}=aicc_driver_${name}_${handle})
    endforeach()
  endif()
  if(AICC_SANITIZE AND CMAKE_CXX_COMPILER_ID MATCHES Clang)
    target_compile_options(${library} PRIVATE -fno-sanitize=function)
  endif()
  set_target_properties(${library} PROPERTIES
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
  set_property(GLOBAL APPEND PROPERTY AICC_DRIVERS ${name})
  set_property(GLOBAL APPEND PROPERTY AICC_DRIVER_TABLES ${ARG_TABLES})
  set_property(GLOBAL APPEND PROPERTY AICC_DRIVER_FAMILIES ${ARG_FAMILIES})
  set_property(GLOBAL APPEND PROPERTY AICC_DRIVER_LINK ${ARG_LINK})
endfunction()
