// Where oneDNN 2.x and 3.x differ: descriptors are values with an operation descriptor in 2.x, handles without one in
// 3.x.
#ifndef MERGEVIT_DESCRIPTORS_H
#define MERGEVIT_DESCRIPTORS_H

#include <dnnl.h>
#include <dnnl_debug.h>

// How a matrix lies in memory: `count` inner blocks, each of N elements of a dimension, innermost last; the
// strides of the outer blocks, and the extents that they fill. Null pointers for a layout that has no such form.
typedef struct {
    int count;
    const dnnl_dim_t *sizes, *dimensions, *strides, *padded;
} mv_blocks;

#if DNNL_VERSION_MAJOR >= 3

typedef dnnl_memory_desc_t mv_desc;
typedef const_dnnl_memory_desc_t mv_const_desc;
static inline mv_const_desc mv_ref(const mv_desc *desc) { return *desc; }
static inline void mv_desc_free(mv_desc *desc) {
    if (*desc) dnnl_memory_desc_destroy(*desc);
}
static inline int mv_desc_strided(mv_desc *desc, int n, const dnnl_dims_t dims, const dnnl_dims_t strides,
                                  dnnl_data_type_t type) {
    return dnnl_memory_desc_create_with_strides(desc, n, dims, type, strides);
}
static inline int mv_desc_any(mv_desc *desc, int n, const dnnl_dims_t dims, dnnl_data_type_t type) {
    return dnnl_memory_desc_create_with_tag(desc, n, dims, type, dnnl_format_tag_any);
}
static inline int mv_desc_copy(mv_desc *desc, mv_const_desc from) { return dnnl_memory_desc_clone(desc, from); }
static inline int mv_plan_matmul(dnnl_primitive_desc_t *plan, dnnl_engine_t engine, const mv_desc *src,
                                 const mv_desc *weights, const mv_desc *bias, const mv_desc *dst,
                                 dnnl_primitive_attr_t attributes) {
    return dnnl_matmul_primitive_desc_create(plan, engine, *src, *weights, bias ? *bias : NULL, *dst, attributes);
}
static inline int mv_plan_layer_norm(dnnl_primitive_desc_t *plan, dnnl_engine_t engine, const mv_desc *data,
                                     float epsilon, dnnl_primitive_attr_t attributes) {
    return dnnl_layer_normalization_forward_primitive_desc_create(plan, engine, dnnl_forward_inference, *data, *data,
                                                                  NULL, epsilon, dnnl_use_scale | dnnl_use_shift,
                                                                  attributes);
}
static inline int mv_plan_eltwise(dnnl_primitive_desc_t *plan, dnnl_engine_t engine, dnnl_alg_kind_t kind, float alpha,
                                  const mv_desc *data, dnnl_primitive_attr_t attributes) {
    return dnnl_eltwise_forward_primitive_desc_create(plan, engine, dnnl_forward_training, kind, *data, *data, alpha, 0,
                                                      attributes);
}
static inline int mv_plan_eltwise_backward(dnnl_primitive_desc_t *plan, dnnl_engine_t engine, dnnl_alg_kind_t kind,
                                           float alpha, const mv_desc *data, dnnl_primitive_desc_t forward,
                                           dnnl_primitive_attr_t attributes) {
    return dnnl_eltwise_backward_primitive_desc_create(plan, engine, kind, *data, *data, *data, alpha, 0, forward,
                                                       attributes);
}
static inline int mv_append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha) {
    return dnnl_post_ops_append_eltwise(ops, kind, alpha, 0);
}
static inline int mv_append_sum(dnnl_post_ops_t ops) {
    return dnnl_post_ops_append_sum(ops, 1, 0, dnnl_data_type_undef);
}
static inline int mv_append_multiply(dnnl_post_ops_t ops, const mv_desc *desc) {
    return dnnl_post_ops_append_binary(ops, dnnl_binary_mul, *desc);
}
static inline int mv_reorder_plan(dnnl_primitive_desc_t *plan, const mv_desc *from, const mv_desc *to,
                                  dnnl_engine_t engine) {
    return dnnl_reorder_primitive_desc_create(plan, *from, engine, *to, engine, NULL);
}
static inline mv_blocks mv_desc_blocks(const mv_desc *desc) {
    mv_blocks blocks = {0, NULL, NULL, NULL, NULL};
    const dnnl_dims_t *inner, *dimensions, *strides, *padded;
    int count;
    if (dnnl_memory_desc_query(*desc, dnnl_query_inner_nblks_s32, &count) ||
        dnnl_memory_desc_query(*desc, dnnl_query_inner_blks, &inner) ||
        dnnl_memory_desc_query(*desc, dnnl_query_inner_idxs, &dimensions) ||
        dnnl_memory_desc_query(*desc, dnnl_query_strides, &strides) ||
        dnnl_memory_desc_query(*desc, dnnl_query_padded_dims, &padded))
        return blocks;
    return (mv_blocks){count, *inner, *dimensions, *strides, *padded};
}

#else

typedef dnnl_memory_desc_t mv_desc;
typedef const dnnl_memory_desc_t *mv_const_desc;
static inline mv_const_desc mv_ref(const mv_desc *desc) { return desc; }
static inline void mv_desc_free(mv_desc *desc) { (void)desc; }
static inline int mv_desc_strided(mv_desc *desc, int n, const dnnl_dims_t dims, const dnnl_dims_t strides,
                                  dnnl_data_type_t type) {
    return dnnl_memory_desc_init_by_strides(desc, n, dims, type, strides);
}
static inline int mv_desc_any(mv_desc *desc, int n, const dnnl_dims_t dims, dnnl_data_type_t type) {
    return dnnl_memory_desc_init_by_tag(desc, n, dims, type, dnnl_format_tag_any);
}
static inline int mv_desc_copy(mv_desc *desc, mv_const_desc from) {
    *desc = *from;
    return dnnl_success;
}
static inline int mv_plan_matmul(dnnl_primitive_desc_t *plan, dnnl_engine_t engine, const mv_desc *src,
                                 const mv_desc *weights, const mv_desc *bias, const mv_desc *dst,
                                 dnnl_primitive_attr_t attributes) {
    dnnl_matmul_desc_t op;
    int status = dnnl_matmul_desc_init(&op, src, weights, bias, dst);
    return status ? status : dnnl_primitive_desc_create(plan, &op, attributes, engine, NULL);
}
static inline int mv_plan_layer_norm(dnnl_primitive_desc_t *plan, dnnl_engine_t engine, const mv_desc *data,
                                     float epsilon, dnnl_primitive_attr_t attributes) {
    dnnl_layer_normalization_desc_t op;
    int status = dnnl_layer_normalization_forward_desc_init(&op, dnnl_forward_inference, data, NULL, epsilon,
                                                            dnnl_use_scale | dnnl_use_shift);
    return status ? status : dnnl_primitive_desc_create(plan, &op, attributes, engine, NULL);
}
static inline int mv_plan_eltwise(dnnl_primitive_desc_t *plan, dnnl_engine_t engine, dnnl_alg_kind_t kind, float alpha,
                                  const mv_desc *data, dnnl_primitive_attr_t attributes) {
    dnnl_eltwise_desc_t op;
    int status = dnnl_eltwise_forward_desc_init(&op, dnnl_forward_training, kind, data, alpha, 0);
    return status ? status : dnnl_primitive_desc_create(plan, &op, attributes, engine, NULL);
}
static inline int mv_plan_eltwise_backward(dnnl_primitive_desc_t *plan, dnnl_engine_t engine, dnnl_alg_kind_t kind,
                                           float alpha, const mv_desc *data, dnnl_primitive_desc_t forward,
                                           dnnl_primitive_attr_t attributes) {
    dnnl_eltwise_desc_t op;
    int status = dnnl_eltwise_backward_desc_init(&op, kind, data, data, alpha, 0);
    return status ? status : dnnl_primitive_desc_create(plan, &op, attributes, engine, forward);
}
static inline int mv_append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha) {
    return dnnl_post_ops_append_eltwise(ops, 1, kind, alpha, 0);
}
static inline int mv_append_sum(dnnl_post_ops_t ops) { return dnnl_post_ops_append_sum(ops, 1); }
static inline int mv_append_multiply(dnnl_post_ops_t ops, const mv_desc *desc) {
    return dnnl_post_ops_append_binary(ops, dnnl_binary_mul, desc);
}
static inline int mv_reorder_plan(dnnl_primitive_desc_t *plan, const mv_desc *from, const mv_desc *to,
                                  dnnl_engine_t engine) {
    return dnnl_reorder_primitive_desc_create(plan, from, engine, to, engine, NULL);
}
static inline mv_blocks mv_desc_blocks(const mv_desc *desc) {
    if (desc->format_kind != dnnl_blocked) return (mv_blocks){0, NULL, NULL, NULL, NULL};
    const dnnl_blocking_desc_t *b = &desc->format_desc.blocking;
    return (mv_blocks){b->inner_nblks, b->inner_blks, b->inner_idxs, b->strides, desc->padded_dims};
}

#endif
#endif
