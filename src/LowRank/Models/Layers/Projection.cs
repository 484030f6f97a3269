using LowRank.Tensors.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>A linear layer y = Wx + b with a slot for adapters.</summary>
/// <remarks>The base weight and its name never change by adapting: adapters attach to and leave the slot.</remarks>
public sealed class Projection
{
    private Projection(string path, Tensor weight, Tensor? bias, int inputs, int outputs, bool storesTransposed)
    {
        Path = path;
        Weight = weight;
        Bias = bias;
        InputSize = inputs;
        OutputSize = outputs;
        StoresTransposed = storesTransposed;
        Slot = new AdapterSlot(path, Base);
    }

    /// <summary>The module's path, such as <c>model.layers.0.self_attn.q_proj</c>.</summary>
    public string Path { get; }

    /// <summary>The frozen weight, [out, in]; [in, out] where <see cref="StoresTransposed"/>.</summary>
    public Tensor Weight { get; }

    /// <summary>The bias, [out], or null.</summary>
    public Tensor? Bias { get; }

    /// <summary>Width of the input.</summary>
    public int InputSize { get; }

    /// <summary>Width of the output.</summary>
    public int OutputSize { get; }

    /// <summary>Whether the weight is stored [in, out], as GPT-2's Conv1D does.</summary>
    public bool StoresTransposed { get; }

    /// <summary>The weight as [out, in], without a copy.</summary>
    public Tensor Matrix => StoresTransposed ? Weight.t() : Weight;

    /// <summary>Where adapters sit; empty computes the base alone.</summary>
    public AdapterSlot Slot { get; }

    /// <summary>Takes a weight [out, in] and, if there is one, a bias [out].</summary>
    public static Projection Linear(WeightLoader weights, string path, int inputs, int outputs, bool bias) =>
        new(path, weights.Take(path + ".weight", outputs, inputs), bias ? weights.Take(path + ".bias", outputs) : null,
            inputs, outputs, storesTransposed: false);

    /// <summary>A layer of a task's head: its weights are taken where the checkpoint has them, and drawn where it has none.</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="path">The module's path.</param>
    /// <param name="inputs">Width of the input.</param>
    /// <param name="outputs">Width of the output.</param>
    /// <param name="bias">Whether it has a bias, zero when drawn.</param>
    /// <param name="range">Standard deviation of drawn weights.</param>
    public static Projection TakenOrDrawn(WeightLoader weights, string path, int inputs, int outputs, bool bias, double range) =>
        new(path, weights.TakeOrDraw(path + ".weight", range, outputs, inputs), bias ? weights.TakeOrDraw(path + ".bias", range, outputs) : null,
            inputs, outputs, storesTransposed: false);

    /// <summary>Takes a weight stored [in, out] and a bias [out], as GPT-2's Conv1D stores them.</summary>
    public static Projection Conv1D(WeightLoader weights, string path, int inputs, int outputs) =>
        new(path, weights.Take(path + ".weight", inputs, outputs), weights.Take(path + ".bias", outputs),
            inputs, outputs, storesTransposed: true);

    /// <summary>A layer that computes with another's weight, as a tied output head does.</summary>
    /// <param name="path">The module's path.</param>
    /// <param name="weight">The other's weight, [out, in].</param>
    /// <param name="bias">A bias of its own, [out], or null.</param>
    public static Projection Tied(string path, Tensor weight, Tensor? bias = null) =>
        new(path, weight, bias, (int)weight.shape[1], (int)weight.shape[0], storesTransposed: false);

    /// <summary>Wx + b, through the adapters when there are any.</summary>
    /// <param name="input">[…, in]</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <returns>[…, out]</returns>
    public Tensor Forward(Tensor input, Generator? dropout) => Slot.Forward(input, dropout);

    /// <summary>Wx + b of the base alone.</summary>
    public Tensor Base(Tensor input) =>
        RowProduct.TryLinear(input, Weight, StoresTransposed, Bias) ?? nn.functional.linear(input, Matrix, Bias);
}
