/* SPDX-License-Identifier: MIT */
/* Which tables there can be: a configuration is checked against the format's shape, and the rest derived from it. */
#include <errno.h>
#include <stdlib.h>

#include "pt/format.h"

/* Configurations are read up to the last field this version knows; larger ones must end in zeros. */
static int read_config(const struct isolde_pt_config *config, struct isolde_pt_config *ret)
{
	size_t known = min_u64(config->size, sizeof(*ret));

	if (config->size < offsetof(struct isolde_pt_config, input_bits))
		return -EINVAL;
	for (size_t i = known; i < config->size; i++)
		if (((const char *)config)[i])
			return -EINVAL;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret, config, known);
	if (!ret->granule)
		ret->granule = 4096;
	return (unsigned)ret->format < ISOLDE_PT_FORMATS ? 0 : -EINVAL;
}

static const struct pt_ops *arm_ops(const struct isolde_pt_config *config)
{
	bool second = config->format == ISOLDE_PT_ARM64_S2;

	switch (config->granule) {
	case 4096:
		return second ? &pt_arm64s2_4k_ops : &pt_arm64s1_4k_ops;
	case 16384:
		return second ? &pt_arm64s2_16k_ops : &pt_arm64s1_16k_ops;
	case 65536:
		return second ? &pt_arm64s2_64k_ops : &pt_arm64s1_64k_ops;
	default:
		return NULL;
	}
}

static const struct pt_ops *ops_of(const struct isolde_pt_config *config)
{
	static const struct pt_ops *const simple[ISOLDE_PT_FORMATS] = {
		[ISOLDE_PT_VTDSS] = &pt_vtdss_ops,	 [ISOLDE_PT_AMDV1] = &pt_amdv1_ops,
		[ISOLDE_PT_X86_64] = &pt_x86_64_ops,	 [ISOLDE_PT_RISCV_S1] = &pt_riscv_s1_ops,
		[ISOLDE_PT_RISCV_S2] = &pt_riscv_s2_ops,
	};

	if (config->format == ISOLDE_PT_ARM64_S1 || config->format == ISOLDE_PT_ARM64_S2)
		return arm_ops(config);
	if (config->format == ISOLDE_PT_AMDV1 && config->granule == 2048)
		return &pt_amdv1_2k_ops;
	return config->granule == 4096 ? simple[config->format] : NULL;
}

static unsigned index_bits(const struct pt_shape *shape)
{
	return shape->granule_shift - 3;
}

/* Bits that so many levels translate, at most 64. */
static unsigned width_of(const struct pt_shape *shape, unsigned levels)
{
	unsigned bits = shape->granule_shift + index_bits(shape) * levels + (shape->root == ROOT_WIDE ? 2 : 0);

	return (unsigned)min_u64(bits, shape->input_max);
}

static unsigned levels_of(const struct pt_shape *shape, unsigned width)
{
	unsigned levels = shape->levels_min;

	while (levels < shape->levels_max && width_of(shape, levels) < width)
		levels++;
	return levels;
}

struct size {
	unsigned width, levels, root_bits;
};

/* Bits of an index into the root. */
static bool root_fits(const struct pt_shape *shape, struct size *size)
{
	unsigned below = shape->granule_shift + index_bits(shape) * (size->levels - 1);
	unsigned most = index_bits(shape) + (shape->root == ROOT_ADJOINED ? 4 : 0) + (shape->root == ROOT_WIDE ? 2 : 0);

	size->root_bits = most;
	switch (shape->root) {
	case ROOT_TABLE:
		return size->width <= width_of(shape, size->levels);
	case ROOT_WHOLE:
	case ROOT_WIDE:
		return size->width == width_of(shape, size->levels);
	default:
		size->root_bits = size->width - below;
		return size->width > below && size->root_bits <= most;
	}
}

static int choose_size(const struct pt_shape *shape, const struct isolde_pt_config *config, struct size *ret)
{
	ret->levels = config->levels;
	ret->width = config->input_bits;
	if (!ret->width)
		ret->width = ret->levels ? width_of(shape, ret->levels) : shape->input_default;
	/* A table that grows has few levels at first, and its width is what it may become. */
	if (config->features & ISOLDE_PT_GROW && !config->input_bits)
		ret->width = shape->input_max;
	if (!ret->levels)
		ret->levels = config->features & ISOLDE_PT_GROW ? 1 : levels_of(shape, ret->width);
	if (ret->levels < shape->levels_min || ret->levels > shape->levels_max || ret->width < shape->input_min ||
	    ret->width > shape->input_max)
		return -EINVAL;
	if (config->features & ISOLDE_PT_GROW) {
		ret->root_bits = index_bits(shape);
		return 0;
	}
	return root_fits(shape, ret) ? 0 : -EINVAL;
}

static int choose_half(struct isolde_pt *pt, const struct isolde_pt_config *config, unsigned width)
{
	const struct pt_shape *shape = pt->ops->shape;
	unsigned bits = shape->sign ? width - 1 : width;

	pt->span = MASK(bits - 1, 0);
	switch (config->half) {
	case ISOLDE_PT_LOWER:
		return 0;
	case ISOLDE_PT_UPPER:
		pt->first = ~pt->span;
		return shape->upper ? 0 : -EINVAL;
	case ISOLDE_PT_BOTH:
		pt->first = ~pt->span;
		pt->span = MASK(width - 1, 0);
		return shape->sign ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

/* Runs belong to a level whose single leaves may be made, too. */
static int choose_pages(struct isolde_pt *pt, const struct isolde_pt_config *config, unsigned levels)
{
	const struct pt_shape *shape = pt->ops->shape;
	u64 wanted = config->page_sizes ? config->page_sizes : ~0ull;
	u64 sizes = shape->leaves & wanted;

	for (unsigned level = 0; level < shape->levels_max; level++) {
		unsigned low = shape->granule_shift + index_bits(shape) * level;
		u64 runs = low < 63 ? shape->runs & MASK((unsigned)min_u64(low + index_bits(shape) - 1, 63), low) : 0;

		if (low > 63 || level >= levels) {
			sizes &= low > 63 ? ~0ull : BIT(low) - 1;
			break;
		}
		if (!(sizes & BIT(low)))
			continue;
		pt->leaf_levels |= 1u << level;
		if (config->features & ISOLDE_PT_CONTIGUOUS)
			sizes |= runs & wanted;
	}
	pt->page_sizes = sizes;
	return sizes & BIT(shape->granule_shift) ? 0 : -EINVAL;
}

static int choose_output(struct isolde_pt *pt, const struct isolde_pt_config *config)
{
	const struct pt_shape *shape = pt->ops->shape;
	unsigned bits = config->output_bits ? config->output_bits : shape->output_default;

	if (bits > shape->output_max || bits < 32)
		return -EINVAL;
	pt->output_last = MASK(bits - 1, 0);
	pt->beyond = shape->address & ~(pt->output_last << shape->address_up >> shape->address_shift);
	return 0;
}

static int choose_memory(struct isolde_pt *pt, const struct isolde_pt_memory *memory)
{
	pt->memory = *memory;
	if (!memory->allocate != !memory->release || (memory->address && !memory->table) ||
	    (memory->table && !memory->address && !pt->adopted))
		return -EINVAL;
	pt->plain = !memory->table && !memory->big_endian && !pt->adopted;
	pt->locate = pt->adopted ? pt_locate_adopted : pt_locate;
	return 0;
}

static void choose_bits(struct isolde_pt *pt)
{
	const struct pt_shape *shape = pt->ops->shape;
	const unsigned permissions = ISOLDE_PT_READ | ISOLDE_PT_WRITE | ISOLDE_PT_EXECUTE;
	const unsigned types = ISOLDE_PT_UNCACHED | ISOLDE_PT_DEVICE;

	pt->flags = shape->flags | (pt->features & ISOLDE_PT_MEMORY_TYPES ? shape->typed_flags : 0);
	for (unsigned flags = 0; flags < PT_FLAGS_N; flags++) {
		bool legal = flags & permissions && !(flags & ~pt->flags) && (flags & types) != types;

		pt->leaf_bits[flags] = legal ? pt->ops->leaf_bits(pt, flags) : 0;
	}
}

static int configure(struct isolde_pt *pt, const struct isolde_pt_config *config, struct size *size)
{
	int err = choose_size(pt->ops->shape, config, size);

	if (err == 0)
		err = choose_half(pt, config, size->width);
	if (err == 0)
		err = choose_pages(pt, config,
				   config->features & ISOLDE_PT_GROW ? pt->ops->shape->levels_max : size->levels);
	if (err == 0)
		err = choose_output(pt, config);
	if (err == 0)
		err = choose_memory(pt, &config->memory);
	if (err < 0)
		return err;
	pt->kind = pt->ops->shape->kind;
	pt->features = config->features;
	pt->granule = config->granule;
	pt->root_mask = MASK(size->root_bits - 1, 0);
	pt->root_size = max_u64(64, sizeof(entry_t) << size->root_bits);
	atomic_flag_clear(&pt->pool.lock);
	choose_bits(pt);
	return 0;
}

static int make_root(struct isolde_pt *pt, unsigned levels)
{
	void *root = pt_table_new(pt, pt->root_size);
	u64 address;

	if (!root)
		return -ENOMEM;
	address = pt_table_address(pt, root);
	if (!is_aligned(address, pt->root_size) || !is_aligned((uintptr_t)root, 64) ||
	    !pt->ops->table_fits(pt, align_down(address, pt->granule))) {
		pt_table_free(pt, root, pt->root_size);
		return -ERANGE;
	}
	memset(root, 0, pt->root_size);
	atomic_init(&pt->top, address | levels);
	atomic_init(&pt->bytes, pt->root_size);
	return 0;
}

static int set_root(struct isolde_pt *pt, u64 root, unsigned levels)
{
	if (!is_aligned(root, pt->root_size))
		return -EINVAL;
	atomic_init(&pt->top, root | levels);
	return 0;
}

static int create(const struct isolde_pt_config *given, const u64 *adopted, struct isolde_pt **ret)
{
	struct isolde_pt_config config;
	const struct pt_ops *ops;
	struct isolde_pt *pt;
	struct size size;
	int err = read_config(given, &config);

	if (err < 0)
		return err;
	ops = ops_of(&config);
	if (!ops)
		return -EINVAL;
	if (config.features & ~ops->shape->features)
		return -EOPNOTSUPP;
	pt = calloc(1, sizeof(*pt));
	if (!pt)
		return -ENOMEM;
	pt->ops = ops;
	pt->adopted = adopted != NULL;
	err = configure(pt, &config, &size);
	if (err == 0)
		err = adopted ? set_root(pt, *adopted, size.levels) : make_root(pt, size.levels);
	if (err < 0) {
		pt_pool_fini(pt);
		free(pt);
		return err;
	}
	*ret = pt;
	return 0;
}

int isolde_pt_new(const struct isolde_pt_config *config, struct isolde_pt **ret)
{
	return create(config, NULL, ret);
}

int isolde_pt_adopt(const struct isolde_pt_config *config, uint64_t root, struct isolde_pt **ret)
{
	return create(config, &root, ret);
}

void isolde_pt_free(struct isolde_pt *pt)
{
	if (!pt)
		return;
	if (!pt->adopted)
		pt->ops->free_tables(pt);
	pt_pool_fini(pt);
	free(pt);
}

int isolde_pt_set_dirty(struct isolde_pt *pt, bool on)
{
	if (!(pt->features & ISOLDE_PT_DIRTY))
		return -EOPNOTSUPP;
	if (pt->adopted)
		return -EPERM;
	atomic_store_explicit(&pt->tracking, on, memory_order_relaxed);
	choose_bits(pt);
	if (on)
		pt->ops->clean(pt);
	return 0;
}
