using LowRank.Kernels;
using LowRank.Quantization;

namespace LowRank.Models;

/// <summary>How a base's frozen weights are kept and multiplied.</summary>
/// <param name="Dtype">The storage format of linear layers' weights, one of <see cref="WeightFormats.Names"/>.</param>
/// <param name="Compute">The type of their products, one of <see cref="ComputeTypes.Names"/>.</param>
/// <param name="Head">The storage of the output head, one of <see cref="WeightFormats.HeadNames"/>.</param>
internal sealed record BaseForm(
    string Dtype = WeightFormats.Auto, string Compute = ComputeTypes.Float32, string Head = WeightFormats.Float32);
