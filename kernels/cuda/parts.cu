// What stands around a convolution's product: the weight brought into the order in which correlate.cu reads it,
// and the sum of parts that blocks computed separately.
#include "device.cuh"

// out (quads, columns, 4): four depths, of one column, side by side. With `by_channel` a quad is four channels of one
// tap, quad = channel / 4 * taps + tap; otherwise four taps of one channel. What is beyond the last is 0.
// from: the number of column n, channel c and tap t is at n * column_step + c * channel_step + t.
extern "C" __global__ void pack(
    const float *from, float4 *out, int columns, int channels, int taps, int column_step, int channel_step,
    int by_channel) {
    int quads_along = by_channel ? taps : (taps + 3) / 4;
    int quads = (by_channel ? (channels + 3) / 4 : channels) * quads_along;
    int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= quads * columns) return;
    // Neighbouring threads read neighbouring taps; where there is one only, neighbouring columns.
    int column = taps > 1 ? at / quads : at % columns, quad = taps > 1 ? at % quads : at / columns;
    float four[4];
    for (int i = 0; i < 4; i++) {
        int channel = by_channel ? quad / taps * 4 + i : quad / quads_along;
        int tap = by_channel ? quad % taps : quad % quads_along * 4 + i;
        four[i] = channel < channels && tap < taps ? from[column * column_step + channel * channel_step + tap] : 0.0f;
    }
    out[quad * columns + column] = {four[0], four[1], four[2], four[3]};
}

// out (size) = the sum of the parts (parts, size), one after another.
extern "C" __global__ void sum_parts(const float *from, float *out, int parts, int size) {
    int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= size) return;
    float sum = 0.0f;
    for (int part = 0; part < parts; part++) sum += from[part * size + at];
    out[at] = sum;
}
