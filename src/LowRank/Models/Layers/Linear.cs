using LowRank.Kernels;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>A linear layer y = Wx + b with a slot for adapters.</summary>
/// <remarks>Adapters never change the base weight or its name: they attach to the slot and detach from it. They
/// multiply with the weight or read it expanded, whether it is packed or not.</remarks>
public sealed class Linear
{
    private readonly IWeightMatrix weight;

    private Linear(string path, IWeightMatrix weight, Tensor? bias, bool sharesWeight = false)
    {
        (Path, this.weight, Bias, SharesWeight) = (path, weight, bias, sharesWeight);
        (InputSize, OutputSize) = ((int)weight.Inputs, (int)weight.Outputs);
        Slot = new AdapterSlot(path, new InnerLayer(weight, bias));
    }

    /// <summary>Whether another layer owns the weight, of which this one may have a packed copy.</summary>
    public bool SharesWeight { get; }

    /// <summary>The module's path, such as <c>model.layers.0.self_attn.q_proj</c>.</summary>
    public string Path { get; }

    /// <summary>The weight in float32, [out, in]; [in, out] if <see cref="StoresTransposed"/>. A packed weight is
    /// expanded on every access, into the caller's dispose scope.</summary>
    public Tensor Weight => weight is DenseMatrix dense ? dense.Stored : StoresTransposed ? Matrix.t() : Matrix;

    /// <summary>The packed weight; null if it is not packed.</summary>
    public PackedWeight? Packed => weight as PackedWeight;

    /// <summary>The bias, [out], or null.</summary>
    public Tensor? Bias { get; }

    /// <summary>Width of the input.</summary>
    public int InputSize { get; }

    /// <summary>Width of the output.</summary>
    public int OutputSize { get; }

    /// <summary>Whether the weight is stored [in, out], as GPT-2's Conv1D does.</summary>
    public bool StoresTransposed { get; private init; }

    /// <summary>The weight as [out, in], without a copy unless it is packed (<see cref="Weight"/>).</summary>
    public Tensor Matrix => weight.Dense();

    /// <summary>The slot for adapters; if empty, only the base computes.</summary>
    internal AdapterSlot Slot { get; }

    /// <summary>The weight in the form that operations accept.</summary>
    internal IWeightMatrix Operand => weight;

    /// <summary>Loads a weight [out, in] and, if there is one, a bias [out].</summary>
    public static Linear Load(WeightLoader weights, string path, int inputs, int outputs, bool bias) =>
        Load(weights, path, inputs, outputs, bias, isPackable: true);

    /// <summary>Like <see cref="Load(WeightLoader, string, int, int, bool)"/>, for a layer that stays in float32 when
    /// others are quantised: a router, whose errors no layer above averages out.</summary>
    public static Linear Unquantized(WeightLoader weights, string path, int inputs, int outputs, bool bias) =>
        Load(weights, path, inputs, outputs, bias, isPackable: false);

    /// <summary>An output head with a weight of its own, [out, in], kept as the loader's source asks.</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="path">The module's path.</param>
    /// <param name="inputs">Width of the input.</param>
    /// <param name="outputs">Width of the output.</param>
    /// <param name="bias">Its bias, [out], or null.</param>
    internal static Linear OutputHead(
        WeightLoader weights, string path, int inputs, int outputs, Tensor? bias = null)
    {
        (Tensor? plain, PackedWeight? packed) = weights.TakeHead(path + ".weight", inputs, outputs);
        return new Linear(path, packed ?? (IWeightMatrix)new DenseMatrix(plain!), bias);
    }

    /// <summary>An output head that shares an embedding's table: it multiplies with the table, or with a packed copy as
    /// the loader's source asks.</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="path">The module's path.</param>
    /// <param name="table">The embedding.</param>
    /// <param name="bias">Its bias, [out], or null.</param>
    internal static Linear Tied(WeightLoader weights, string path, Embedding table, Tensor? bias = null) =>
        new(path, weights.PackShared(table.Weight, table.Path + ".weight")
            ?? (IWeightMatrix)new DenseMatrix(table.Weight), bias, sharesWeight: true);

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

    /// <summary>A layer of a task head: its weights are loaded if the checkpoint has them, otherwise
    /// initialised.</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="path">The module's path.</param>
    /// <param name="inputs">Width of the input.</param>
    /// <param name="outputs">Width of the output.</param>
    /// <param name="bias">Whether it has a bias, initialised to zero.</param>
    /// <param name="range">Standard deviation of initialised weights.</param>
    public static Linear LoadOrInitialize(
        WeightLoader weights, string path, int inputs, int outputs, bool bias, double range) =>
        new(path, new DenseMatrix(weights.TakeOrDraw(path + ".weight", range, outputs, inputs)),
            bias ? weights.TakeOrDraw(path + ".bias", range, outputs) : null);

    /// <summary>Loads a weight stored as [in, out] and a bias [out], as in GPT-2's Conv1D.</summary>
    public static Linear Conv1D(WeightLoader weights, string path, int inputs, int outputs) =>
        new(path, Take(weights, path, inputs, outputs, isTransposed: true, isPackable: true),
            weights.Take(path + ".bias", outputs)) { StoresTransposed = true };

    /// <summary>A layer that shares another layer's weight, such as a tied output head.</summary>
    /// <param name="path">The module's path.</param>
    /// <param name="weight">The shared weight, [out, in].</param>
    /// <param name="bias">Its own bias, [out], or null.</param>
    public static Linear Tied(string path, Tensor weight, Tensor? bias = null) =>
        new(path, new DenseMatrix(weight), bias, sharesWeight: true);

    /// <summary>A layer with a weight that is already loaded.</summary>
    /// <param name="path">The module's path.</param>
    /// <param name="weight">The weight, [out, in].</param>
    /// <param name="bias">The bias, [out], or null.</param>
    public static Linear From(string path, Tensor weight, Tensor? bias) => new(path, new DenseMatrix(weight), bias);

    /// <summary>Wx + b, through the adapters if there are any.</summary>
    /// <param name="input">[…, in]</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <returns>[…, out]</returns>
    public Tensor Forward(Tensor input, Generator? dropout) => Slot.Forward(input, dropout);

    /// <summary>Wx of the base only, differentiable in x.</summary>
    /// <param name="input">[…, in]</param>
    /// <returns>[…, out]</returns>
    public Tensor Multiply(Tensor input) => LowRankLinear.Base(input, weight, null);

    /// <summary>Allows in-place changes to the weight: a packed weight is expanded until
    /// <see cref="EndMerge"/>.</summary>
    internal void BeginMerge() => Packed?.BeginMerge();

    /// <summary>Ends a <see cref="BeginMerge"/>; after the last one a packed weight is restored.</summary>
    internal void EndMerge() => Packed?.EndMerge();

    /// <summary>Disposes of a packed copy of another layer's weight.</summary>
    internal void DisposeCopy()
    {
        if (SharesWeight) Packed?.Dispose();
    }
}

/// <summary>A layer's slot for adapters. Several adapters nest: each changes the output of those below it.</summary>
/// <param name="path">The layer's path, for messages.</param>
/// <param name="inner">The layer without adapters.</param>
internal sealed class AdapterSlot(string path, InnerLayer inner)
{
    private readonly List<ISlotAdapter> adapters = [];

    /// <summary>The attached adapters, lowest first.</summary>
    public IReadOnlyList<ISlotAdapter> Adapters => adapters;

    /// <summary>Whether no adapter is attached.</summary>
    internal bool IsEmpty => Rows is null && adapters.Count == 0;

    /// <summary>Which adapters each row of a batch has, instead of the attached ones; null if all rows have
    /// those.</summary>
    internal AdapterRows? Rows { get; set; }

    /// <summary>Adds an adapter above the attached ones.</summary>
    /// <exception cref="InvalidOperationException">The adapter is already attached.</exception>
    public void Attach(ISlotAdapter adapter)
    {
        if (adapters.Contains(adapter))
            throw new InvalidOperationException($"The adapter is attached to {path} already.");
        adapters.Add(adapter);
    }

    /// <summary>Removes an adapter; does nothing if it is not attached.</summary>
    public void Detach(ISlotAdapter adapter) => adapters.Remove(adapter);

    /// <summary>The layer's output through its adapters.</summary>
    /// <param name="input">[batch, …]</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    public Tensor Forward(Tensor input, Generator? dropout) =>
        Rows is null ? Nested(adapters, adapters.Count, input, inner, dropout)
            : ForwardRows(input, Rows, dropout);

    private static Tensor Nested(
        IReadOnlyList<ISlotAdapter> nested, int count, Tensor input, InnerLayer lowest, Generator? dropout) =>
        count switch
        {
            0 => lowest.Forward(input),
            1 => nested[0].Forward(input, lowest, dropout),
            _ => nested[count - 1].Forward(
                input, new InnerLayer(x => Nested(nested, count - 1, x, lowest, dropout)), dropout),
        };

    // The base is computed once for the whole batch, W·X; then each segment's adapters change their rows, in place
    // where no gradient is wanted.
    private Tensor ForwardRows(Tensor input, AdapterRows rows, Generator? dropout)
    {
        if (input.shape[0] != rows.Count)
            throw new InputException(
                $"{path}: the batch has {input.shape[0]} rows here, but adapters were assigned to {rows.Count}.");
        Tensor all = inner.Forward(input);
        List<Tensor> parts = [];
        bool isInPlace = !is_grad_enabled();
        if (isInPlace && TryPairs(all, input, rows)) return all;
        foreach (RowSegment segment in rows.Segments)
        {
            Tensor below = all.narrow(0, segment.First, segment.Count);
            IReadOnlyList<ISlotAdapter> nested = segment.Adapters?.In(this) ?? [];
            Tensor changed = below;
            if (nested.Count > 0)
            {
                Tensor part = input.narrow(0, segment.First, segment.Count);
                // An adapter that changes the input asks for its rows again.
                var known = new InnerLayer(x => ReferenceEquals(x, part) ? below : inner.Forward(x))
                    { IsBase = inner.IsBase };
                changed = Nested(nested, nested.Count, part, known, dropout);
                if (isInPlace && !ReferenceEquals(changed, below)) below.copy_(changed);
            }
            parts.Add(changed);
        }
        return isInPlace ? all : cat(parts, 0);
    }

    // One operation for all segments, if each has one low-rank pair or nothing.
    private bool TryPairs(Tensor all, Tensor input, AdapterRows rows)
    {
        List<RowPair> pairs = [];
        foreach (RowSegment segment in rows.Segments)
            if (segment.Adapters?.PairIn(this) is { } pair) pairs.Add(new RowPair(segment.First, segment.Count, pair));
            else if (segment.Adapters?.In(this).Count > 0) return false;
        return pairs.Count == 0 || LowRankRows.TryAdd(all, input, pairs);
    }
}

/// <summary>An adapter that outside training may add nothing but a pair's product to a layer.</summary>
internal interface ILowRankAdapter
{
    /// <summary>A, [rank, in], B, [out, rank], and s of y + w·s·B(Ax), where w is the adapter's weight; null if it does
    /// more.</summary>
    (Tensor A, Tensor B, double Scale)? Pair { get; }
}

/// <summary>What a layer's <see cref="AdapterSlot"/> holds; it changes the layer's output.</summary>
public interface ISlotAdapter
{
    /// <summary>Its tensors by key suffix after the module's path, such as <c>.lora_A.weight</c>; empty for
    /// observers.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [];

    /// <summary>The adapted output.</summary>
    /// <param name="input">[…, in] for a linear layer; token ids for an embedding.</param>
    /// <param name="inner">Computes the layer without this adapter: the base, or the base with the adapters
    /// below.</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <returns>[…, out]</returns>
    Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout);
}
