using LowRank.Kernels;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>A linear layer y = Wx + b with a slot for adapters.</summary>
/// <remarks>Adapting never changes the base weight or its name: adapters attach to the slot and leave it. They multiply
/// with the weight or read it expanded, whether it is packed or not.</remarks>
public sealed class Linear
{
    private readonly IWeightMatrix weight;

    private Linear(string path, IWeightMatrix weight, Tensor? bias, bool sharesWeight = false)
    {
        (Path, this.weight, Bias, SharesWeight) = (path, weight, bias, sharesWeight);
        (InputSize, OutputSize) = ((int)weight.Inputs, (int)weight.Outputs);
        Slot = new AdapterSlot(path, new InnerLayer(weight, bias), new InnerLayer(weight, bias, omitsValues: true));
    }

    /// <summary>Whether the weight is another layer's.</summary>
    public bool SharesWeight { get; }

    /// <summary>The module's path, such as <c>model.layers.0.self_attn.q_proj</c>.</summary>
    public string Path { get; }

    /// <summary>The weight in float32, [out, in]; [in, out] where <see cref="StoresTransposed"/>. One that is kept
    /// packed is expanded anew each time, into the caller's dispose scope.</summary>
    public Tensor Weight => weight is DenseMatrix dense ? dense.Stored : StoresTransposed ? Matrix.t() : Matrix;

    /// <summary>The weight where it is kept packed; else null.</summary>
    public PackedWeight? Packed => weight as PackedWeight;

    /// <summary>The bias, [out], or null.</summary>
    public Tensor? Bias { get; }

    /// <summary>Width of the input.</summary>
    public int InputSize { get; }

    /// <summary>Width of the output.</summary>
    public int OutputSize { get; }

    /// <summary>Whether the weight is stored [in, out], as GPT-2's Conv1D does.</summary>
    public bool StoresTransposed { get; private init; }

    /// <summary>The weight as [out, in], without a copy unless it is kept packed (<see cref="Weight"/>).</summary>
    public Tensor Matrix => weight.Dense();

    /// <summary>Where adapters sit; empty computes the base alone.</summary>
    public AdapterSlot Slot { get; }

    /// <summary>The weight as operations take it.</summary>
    internal IWeightMatrix Operand => weight;

    /// <summary>Takes a weight [out, in] and, if there is one, a bias [out].</summary>
    public static Linear Load(WeightLoader weights, string path, int inputs, int outputs, bool bias) =>
        Load(weights, path, inputs, outputs, bias, isPackable: true);

    /// <summary>As <see cref="Load(WeightLoader, string, int, int, bool)"/>, of a layer that stays in float32 when
    /// the others are quantised: an output head or a router, whose errors are not averaged out by layers
    /// above.</summary>
    public static Linear Unquantized(WeightLoader weights, string path, int inputs, int outputs, bool bias) =>
        Load(weights, path, inputs, outputs, bias, isPackable: false);

    private static Linear Load(
        WeightLoader weights, string path, int inputs, int outputs, bool bias, bool isPackable) =>
        new(path, Take(weights, path, inputs, outputs, isTransposed: false, isPackable),
            bias ? weights.Take(path + ".bias", outputs) : null);

    private static IWeightMatrix Take(
        WeightLoader weights, string path, int inputs, int outputs, bool isTransposed, bool isPackable)
    {
        (Tensor? plain, PackedWeight? packed) =
            weights.TakeMatrix(path + ".weight", inputs, outputs, isTransposed, isPackable);
        return packed ?? (IWeightMatrix)new DenseMatrix(plain!, isTransposed);
    }

    /// <summary>A layer of a task's head: its weights are taken where the checkpoint has them, and drawn where it has
    /// none.</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="path">The module's path.</param>
    /// <param name="inputs">Width of the input.</param>
    /// <param name="outputs">Width of the output.</param>
    /// <param name="bias">Whether it has a bias, zero when drawn.</param>
    /// <param name="range">Standard deviation of drawn weights.</param>
    public static Linear LoadOrInitialize(
        WeightLoader weights, string path, int inputs, int outputs, bool bias, double range) =>
        new(path, new DenseMatrix(weights.TakeOrDraw(path + ".weight", range, outputs, inputs)),
            bias ? weights.TakeOrDraw(path + ".bias", range, outputs) : null);

    /// <summary>Takes a weight stored [in, out] and a bias [out], as GPT-2's Conv1D stores them.</summary>
    public static Linear Conv1D(WeightLoader weights, string path, int inputs, int outputs) =>
        new(path, Take(weights, path, inputs, outputs, isTransposed: true, isPackable: true),
            weights.Take(path + ".bias", outputs)) { StoresTransposed = true };

    /// <summary>A layer that computes with another's weight, as a tied output head does.</summary>
    /// <param name="path">The module's path.</param>
    /// <param name="weight">The other's weight, [out, in].</param>
    /// <param name="bias">A bias of its own, [out], or null.</param>
    public static Linear Tied(string path, Tensor weight, Tensor? bias = null) =>
        new(path, new DenseMatrix(weight), bias, sharesWeight: true);

    /// <summary>A layer of a weight that was taken already.</summary>
    /// <param name="path">The module's path.</param>
    /// <param name="weight">The weight, [out, in].</param>
    /// <param name="bias">The bias, [out], or null.</param>
    public static Linear Of(string path, Tensor weight, Tensor? bias) => new(path, new DenseMatrix(weight), bias);

    /// <summary>Wx + b, through the adapters when there are any.</summary>
    /// <param name="input">[…, in]</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <returns>[…, out]</returns>
    public Tensor Forward(Tensor input, Generator? dropout) => Slot.Forward(input, dropout);

    /// <summary>Like <see cref="Forward"/>, for the last layer of a block: when the block is computed again only for
    /// its gradients, the output's values may be left undefined.</summary>
    internal Tensor ForwardLast(Tensor input, ForwardContext context) =>
        Slot.Forward(input, context.Dropout, context.OmitsOutput);

    /// <summary>Wx of the base alone, differentiable in x.</summary>
    /// <param name="input">[…, in]</param>
    /// <returns>[…, out]</returns>
    public Tensor Multiply(Tensor input) => LowRankLinear.Base(input, weight, null);

    /// <summary>Makes the weight one that may be changed in place: a packed one is expanded until
    /// <see cref="EndMerge"/>.</summary>
    internal void BeginMerge() => Packed?.BeginMerge();

    /// <summary>Ends a <see cref="BeginMerge"/>; with the last one a packed weight is what it was.</summary>
    internal void EndMerge() => Packed?.EndMerge();
}

/// <summary>The place of a layer where adapters sit. Several nest: each changes what those below it compute.</summary>
/// <param name="path">The layer's path, for messages.</param>
/// <param name="inner">The layer alone.</param>
/// <param name="graphOnly">The same layer where the values of its output are not needed.</param>
public sealed class AdapterSlot(string path, InnerLayer inner, InnerLayer? graphOnly = null)
{
    private readonly List<ISlotAdapter> adapters = [];
    private IReadOnlyList<IReadOnlyList<ISlotAdapter>>? rows;

    /// <summary>The adapters that take part, the lowest first.</summary>
    public IReadOnlyList<ISlotAdapter> Adapters => adapters;

    /// <summary>Whether the layer computes alone.</summary>
    internal bool IsEmpty => rows is null && adapters.Count == 0;

    /// <summary>Puts an adapter above those that are there.</summary>
    /// <exception cref="InvalidOperationException">It is there already.</exception>
    public void Attach(ISlotAdapter adapter)
    {
        if (adapters.Contains(adapter))
            throw new InvalidOperationException($"The adapter is attached to {path} already.");
        adapters.Add(adapter);
    }

    /// <summary>Takes an adapter out; nothing happens where it is not there.</summary>
    public void Detach(ISlotAdapter adapter) => adapters.Remove(adapter);

    /// <summary>Gives each row of the next batches adapters of its own instead of the attached ones; null ends
    /// that.</summary>
    /// <param name="byRow">For each row its adapters, the lowest first; the rows of one adapter share one list.</param>
    internal void AssignRows(IReadOnlyList<IReadOnlyList<ISlotAdapter>>? byRow) => rows = byRow;

    /// <summary>The layer's output through its adapters.</summary>
    /// <param name="input">[batch, …]</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <param name="omitsValues">Whether the values of the output are not needed.</param>
    internal Tensor Forward(Tensor input, Generator? dropout, bool omitsValues)
    {
        InnerLayer lowest = omitsValues && rows is null && adapters.Count <= 1 ? graphOnly ?? inner : inner;
        return rows is null ? Nested(adapters, adapters.Count, input, lowest, dropout) : ForwardRows(input, dropout);
    }

    /// <inheritdoc cref="Forward(Tensor, Generator?, bool)"/>
    public Tensor Forward(Tensor input, Generator? dropout) => Forward(input, dropout, omitsValues: false);

    private static Tensor Nested(
        IReadOnlyList<ISlotAdapter> nested, int count, Tensor input, InnerLayer lowest, Generator? dropout) =>
        count switch
        {
            0 => lowest.ForwardAlone(input),
            1 => nested[0].Forward(input, lowest, dropout),
            _ => nested[count - 1].Forward(
                input, new InnerLayer(x => Nested(nested, count - 1, x, lowest, dropout)), dropout),
        };

    // The base is computed once for the whole batch; an adapter that changes the input asks for its rows again.
    private Tensor ForwardRows(Tensor input, Generator? dropout)
    {
        if (input.shape[0] != rows!.Count)
            throw new InputException(
                $"{path}: the batch has {input.shape[0]} rows here, but adapters were assigned to {rows.Count}. " +
                "Adapters by row need a name for each row, and layers that keep rows apart: a mixture of experts " +
                    "does not.");
        Tensor all = inner.Forward(input);
        Tensor result = all;
        foreach (IGrouping<IReadOnlyList<ISlotAdapter>, int> group in Enumerable.Range(0, rows.Count)
            .GroupBy(row => rows[row]))
        {
            if (group.Key.Count == 0) continue;
            Tensor chosen = tensor(group.Select(row => (long)row).ToArray(), device: input.device);
            Tensor part = input.index_select(0, chosen), below = all.index_select(0, chosen);
            var known = new InnerLayer(x => ReferenceEquals(x, part) ? below : inner.Forward(x));
            Tensor changed = Nested(group.Key, group.Key.Count, part, known, dropout);
            result = result.index_copy(0, chosen, changed);
        }
        return result;
    }
}

/// <summary>What sits in a layer's <see cref="AdapterSlot"/> and changes what the layer computes.</summary>
public interface ISlotAdapter
{
    /// <summary>Its tensors by what follows the module's path in their keys, such as <c>.lora_A.weight</c>; none of
    /// what only looks on.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [];

    /// <summary>The adapted output.</summary>
    /// <param name="input">[…, in] of a projection; whole numbers of an embedding.</param>
    /// <param name="inner">What the layer computes without this adapter: the base, or the base with the adapters
    /// below.</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <returns>[…, out]</returns>
    Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout);
}
