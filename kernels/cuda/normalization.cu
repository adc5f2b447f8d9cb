// Batch normalisation (Ioffe and Szegedy 2015) of x (N, C, S), S all pixels of a channel, in one launch each way;
// formulas as in reference.py. A team of threads owns a channel: it adds up what the channel's formulas need,
// then goes over the values again, which the first-level cache still holds.
#include "map.cuh"
#include "leaky_relu.cuh"
#include "sums.cuh"

// With several pixels the team is a block of WARP by some threads, and its neighbours read neighbouring pixels.
// With one pixel (after a Linear) the neighbours in memory are channels: lane l of all warps owns channel l.
struct Team {
    int channel, rank, size, batch, channels, pixels;

    __device__ Team(int batch, int channels, int pixels) : batch(batch), channels(channels), pixels(pixels) {
        bool whole_block = pixels > 1;
        channel = whole_block ? blockIdx.x : blockIdx.x * WARP + threadIdx.x;
        rank = whole_block ? threadIdx.y * WARP + threadIdx.x : threadIdx.y;
        size = whole_block ? WARP * blockDim.y : blockDim.y;
    }

    __device__ bool leads() const { return rank == 0 && channel < channels; }

    // f(i) for the places i in x that this thread takes of the channel.
    template <class F>
    __device__ __forceinline__ void each(F f) const {
        int count = channel < channels ? batch * pixels : 0;
        int rows = size / pixels, rest = size % pixels;  // a step of the team, without a division in the loop
        int pixel = rank % pixels, i = (rank / pixels * channels + channel) * pixels + pixel;
#pragma unroll 4
        for (int place = rank; place < count; place += size) {
            f(i);
            bool next_row = (pixel += rest) >= pixels;
            i += rows * channels * pixels + rest + (next_row ? (channels - 1) * pixels : 0);
            pixel -= next_row ? pixels : 0;
        }
    }

    // The sum of a value of each of the team's threads, in all of them. slots: shared, (warps, WARP).
    __device__ __forceinline__ NUMBER sum(NUMBER value, NUMBER *slots) const {
        if (pixels > 1) return block_sum(value, slots);
        __syncthreads();
        slots[threadIdx.y * WARP + threadIdx.x] = value;
        __syncthreads();
        NUMBER total = 0;
        for (int row = 0; row < blockDim.y; row++) total += slots[row * WARP + threadIdx.x];
        return total;
    }
};

extern "C" __global__ void __launch_bounds__(1024, 1) batch_norm(int batch, int channels, int pixels,
    const NUMBER *__restrict__ x, const NUMBER *weight, const NUMBER *bias, double eps, double slope, NUMBER *mean,
    NUMBER *var, NUMBER *__restrict__ out) {
    __shared__ NUMBER slots[WARP * WARP];
    Team team(batch, channels, pixels);
    NUMBER count = batch * pixels, total = 0, squares = 0;
    team.each([&](int i) { total += x[i]; });
    NUMBER centre = team.sum(total, slots) / count;
    team.each([&](int i) { squares += (x[i] - centre) * (x[i] - centre); });
    NUMBER variance = team.sum(squares, slots) / count;
    if (team.leads()) mean[team.channel] = centre, var[team.channel] = variance;
    if (team.channel >= channels) return;
    NUMBER gain = weight[team.channel] / sqrt(variance + NUMBER(eps)), shift = bias[team.channel];
    team.each([&](int i) { out[i] = leaky((x[i] - centre) * gain + shift, NUMBER(slope)); });
}

extern "C" __global__ void __launch_bounds__(1024, 1) batch_norm_backward(int batch, int channels, int pixels,
    const NUMBER *__restrict__ g, const NUMBER *__restrict__ x, const NUMBER *__restrict__ y, const NUMBER *weight,
    double eps, double slope, const NUMBER *mean, const NUMBER *var, NUMBER *grad_weight, NUMBER *grad_bias,
    NUMBER *__restrict__ out) {
    __shared__ NUMBER slots[WARP * WARP];
    Team team(batch, channels, pixels);
    bool inside = team.channel < channels;
    NUMBER centre = inside ? mean[team.channel] : NUMBER(0);
    NUMBER scale = inside ? 1 / sqrt(var[team.channel] + NUMBER(eps)) : NUMBER(0);
    NUMBER below = slope, count = batch * pixels, total = 0, product = 0;
    auto before = [&](int i) { return below == 1 ? g[i] : leaky_backward(g[i], y[i], below); };  // the leaky ReLU
    team.each([&](int i) {
        NUMBER gradient = before(i);
        total += gradient;
        product += gradient * (x[i] - centre);
    });
    total = team.sum(total, slots), product = team.sum(product, slots) * scale;
    if (team.leads()) grad_bias[team.channel] = total, grad_weight[team.channel] = product;
    if (!inside) return;
    // g - (total + normalised * product) / count, with the constants folded together
    NUMBER gain = weight[team.channel] * scale, constant = total / count, tilt = product * scale / count;
    team.each([&](int i) { out[i] = (before(i) - constant - (x[i] - centre) * tilt) * gain; });
}

extern "C" __global__ void __launch_bounds__(1024, 1) sum_channels(int batch, int channels, int pixels,
    const NUMBER *__restrict__ x, NUMBER *out) {
    __shared__ NUMBER slots[WARP * WARP];
    Team team(batch, channels, pixels);
    NUMBER total = 0;
    team.each([&](int i) { total += x[i]; });
    total = team.sum(total, slots);
    if (team.leads()) out[team.channel] = total;
}

extern "C" __global__ void scale_and_shift(int size, int channels, int pixels, const NUMBER *x, const NUMBER *scale,
    const NUMBER *shift, double slope, NUMBER *out) {
    map(size, out, [=](unsigned i) {
        unsigned channel = i / pixels % channels;
        return leaky(x[i] * scale[channel] + shift[channel], NUMBER(slope));
    });
}

// unbiased: what the biased variance is multiplied by. batches: how many have been counted.
extern "C" __global__ void running_statistics(int channels, const NUMBER *mean, const NUMBER *var, double unbiased,
    double momentum, NUMBER *running_mean, NUMBER *running_var, long long *batches) {
    unsigned channel = blockIdx.x * blockDim.x + threadIdx.x;
    if (channel == 0) *batches += 1;
    if (channel >= channels) return;
    running_mean[channel] += NUMBER(momentum) * (mean[channel] - running_mean[channel]);
    running_var[channel] += NUMBER(momentum) * (var[channel] * NUMBER(unbiased) - running_var[channel]);
}
