/* SPDX-License-Identifier: MIT */
/* Every file of tests/conform that has tests. */
#define SUITES(X)                                                                                                      \
	X(dispatch)                                                                                                    \
	X(objects)                                                                                                     \
	X(ioas)                                                                                                        \
	X(map)                                                                                                         \
	X(iova)                                                                                                        \
	X(unmap)                                                                                                       \
	X(option)                                                                                                      \
	X(hwpt)                                                                                                        \
	X(attach)                                                                                                      \
	X(dirty)                                                                                                       \
	X(access)                                                                                                      \
	X(fault)                                                                                                       \
	X(viommu)                                                                                                      \
	X(buffers)                                                                                                     \
	X(compat)                                                                                                      \
	X(cdev)                                                                                                        \
	X(siblings)                                                                                                    \
	X(feature)                                                                                                     \
	X(migration)                                                                                                   \
	X(mock)                                                                                                        \
	X(container)                                                                                                   \
	X(group)                                                                                                       \
	X(type1)                                                                                                       \
	X(tracking)                                                                                                    \
	X(emulated)                                                                                                    \
	X(token)                                                                                                       \
	X(config)                                                                                                      \
	X(regions)                                                                                                     \
	X(buses)                                                                                                       \
	X(proofs)                                                                                                      \
	X(peers)                                                                                                       \
	X(irqs)                                                                                                        \
	X(stores)                                                                                                      \
	X(limits)                                                                                                      \
	X(noiommu)                                                                                                     \
	X(pasids)                                                                                                      \
	X(incoherent)                                                                                                  \
	X(leaving)                                                                                                     \
	X(shortage)
