using LowRank.Kernels;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>A linear layer y = Wx + b with a slot for adapters.</summary>
/// <remarks>The base weight and its name never change by adapting: adapters attach to and leave the slot. Whether the
/// weight is kept packed is no concern of theirs: they multiply with it, or read it expanded.</remarks>
public sealed class Linear
{
    private readonly Tensor? plain;
    private Tensor? dequantized; // [out, in]: the expanded weight while adapters are merged into a packed one
    private int merges;

    private Linear(string path, (Tensor? Plain, PackedWeight? Packed) weight, Tensor? bias, int inputs, int outputs,
        bool storesTransposed)
    {
        Path = path;
        (plain, Packed) = weight;
        Bias = bias;
        InputSize = inputs;
        OutputSize = outputs;
        StoresTransposed = storesTransposed;
        Slot = new AdapterSlot(path, Base);
    }

    private Linear(
        string path, (Tensor? Plain, PackedWeight? Packed) weight, Tensor? bias, Tensor matrix, bool sharesWeight)
        : this(path, weight, bias, (int)matrix.shape[1], (int)matrix.shape[0], storesTransposed: false) =>
        SharesWeight = sharesWeight;

    /// <summary>Whether the weight is another layer's.</summary>
    public bool SharesWeight { get; }

    /// <summary>The module's path, such as <c>model.layers.0.self_attn.q_proj</c>.</summary>
    public string Path { get; }

    /// <summary>The frozen weight in float32, [out, in]; [in, out] where <see cref="StoresTransposed"/>. One that is
    /// kept packed is expanded anew each time, into the caller's dispose scope.</summary>
    public Tensor Weight => plain ?? (StoresTransposed ? Matrix.t() : Matrix);

    /// <summary>The weight where it is kept packed; else null.</summary>
    public PackedWeight? Packed { get; }

    /// <summary>The bias, [out], or null.</summary>
    public Tensor? Bias { get; }

    /// <summary>Width of the input.</summary>
    public int InputSize { get; }

    /// <summary>Width of the output.</summary>
    public int OutputSize { get; }

    /// <summary>Whether the weight is stored [in, out], as GPT-2's Conv1D does.</summary>
    public bool StoresTransposed { get; }

    /// <summary>The weight as [out, in], without a copy unless it is kept packed (<see cref="Weight"/>).</summary>
    public Tensor Matrix => plain is null ? dequantized ?? Packed!.Expand() : StoresTransposed ? plain.t() : plain;

    /// <summary>Where adapters sit; empty computes the base alone.</summary>
    public AdapterSlot Slot { get; }

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
        new(path, weights.TakeMatrix(path + ".weight", inputs, outputs, isTransposed: false, isPackable), bias
            ? weights.Take(path + ".bias", outputs) : null,
            inputs, outputs, storesTransposed: false);

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
        new(path, (weights.TakeOrDraw(path + ".weight", range, outputs, inputs), null), bias
            ? weights.TakeOrDraw(path + ".bias", range, outputs) : null,
            inputs, outputs, storesTransposed: false);

    /// <summary>Takes a weight stored [in, out] and a bias [out], as GPT-2's Conv1D stores them.</summary>
    public static Linear Conv1D(WeightLoader weights, string path, int inputs, int outputs) =>
        new(path, weights.TakeMatrix(path + ".weight", inputs, outputs, isTransposed: true, isPackable: true),
            weights.Take(path + ".bias", outputs),
            inputs, outputs, storesTransposed: true);

    /// <summary>A layer that computes with another's weight, as a tied output head does.</summary>
    /// <param name="path">The module's path.</param>
    /// <param name="weight">The other's weight, [out, in].</param>
    /// <param name="bias">A bias of its own, [out], or null.</param>
    public static Linear Tied(string path, Tensor weight, Tensor? bias = null) =>
        new(path, (weight, null), bias, weight, sharesWeight: true);

    /// <summary>A layer of a weight that was taken already.</summary>
    /// <param name="path">The module's path.</param>
    /// <param name="weight">The weight, [out, in].</param>
    /// <param name="bias">The bias, [out], or null.</param>
    public static Linear Of(string path, Tensor weight, Tensor? bias) =>
        new(path, (weight, null), bias, weight, sharesWeight: false);

    /// <summary>Wx + b, through the adapters when there are any.</summary>
    /// <param name="input">[…, in]</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    public Tensor Forward(Tensor input, Generator? dropout) => Forward(input, dropout, isRead: true);

    /// <summary>As <see cref="Forward(Tensor, Generator?)"/>.</summary>
    /// <param name="input">[…, in]</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <param name="isRead">Whether someone reads the values; otherwise the graph alone matters, and the product is
    /// left out where it can be.</param>
    /// <returns>[…, out]</returns>
    internal Tensor Forward(Tensor input, Generator? dropout, bool isRead)
    {
        bool isStep = Slot.Pair is not null ? is_grad_enabled() && IsFrozen && input.device_type == DeviceType.CPU
            : !isRead && Slot.IsEmpty && !IsPacked && IsStep(input, Bias);
        return isStep ? TrainingLinear.Apply(this, Bias, input, Slot.Pair, dropout, isRead)
            : Slot.Forward(input, dropout);
    }

    /// <summary>Wx + b of the base alone.</summary>
    public Tensor Base(Tensor input) => Multiply(input, Bias);

    /// <summary>Wx of the base alone, differentiable in x.</summary>
    /// <param name="input">[…, in]</param>
    /// <param name="bias">What is added, [out]; null for nothing.</param>
    /// <returns>[…, out]</returns>
    public Tensor Multiply(Tensor input, Tensor? bias = null)
    {
        if (IsPacked) return Packed!.Linear(input, bias);
        Tensor weight = plain ?? dequantized!;
        if (RowProduct.TryLinear(input, weight, plain is not null && StoresTransposed, bias) is { } few) return few;
        if (IsStep(input, bias)) return TrainingLinear.Apply(this, bias, input, null, null);
        bool trains = is_grad_enabled() && (weight.requires_grad || bias is { requires_grad: true });
        // On the processor by the same product as beside an adapter: a pair that adds zero then changes nothing, on any
        // processor.
        return trains || input.device_type != DeviceType.CPU ? nn.functional.linear(input, Matrix, bias)
            : Product(input, bias);
    }

    /// <summary>Wx + b of the base alone, without a graph.</summary>
    /// <param name="input">[…, in]</param>
    /// <param name="bias">What is added, [out]; null for nothing.</param>
    /// <returns>[…, out]</returns>
    internal Tensor Product(Tensor input, Tensor? bias) => IsPacked
        ? Packed!.Product(input.reshape(-1, InputSize), bias).view([.. input.shape[..^1], OutputSize])
        : MatMul.Multiply(input, Matrix.t(), bias);

    /// <summary>y·W without a graph: what reaches the input of the gradient y of the output.</summary>
    /// <param name="gradient">[rows, out]</param>
    /// <returns>[rows, in]</returns>
    internal Tensor BackProduct(Tensor gradient) => IsPacked ? Packed!.BackProduct(gradient)
        : MatMul.Multiply(gradient, Matrix);

    /// <summary>Makes the weight one that may be changed in place: a packed one is expanded until
    /// <see cref="EndMerge"/>.</summary>
    internal void BeginMerge()
    {
        if (Packed is null || merges++ > 0) return;
        dequantized = Packed.Expand().DetachFromDisposeScope();
    }

    /// <summary>Ends a <see cref="BeginMerge"/>; with the last one a packed weight is what it was.</summary>
    internal void EndMerge()
    {
        if (Packed is null || --merges > 0) return;
        dequantized!.Dispose();
        dequantized = null;
    }

    // Whether the base alone is a step of the graph that keeps nothing: on other devices torch's own nodes are.
    private bool IsStep(Tensor input, Tensor? bias) =>
        is_grad_enabled() && input.requires_grad && input.device_type == DeviceType.CPU
        && !(plain ?? dequantized!).requires_grad && bias is not { requires_grad: true };

    private bool IsPacked => Packed is not null && dequantized is null;

    /// <summary>Whether neither the weight nor the bias takes a gradient.</summary>
    internal bool IsFrozen => plain is not { requires_grad: true } && Bias is not { requires_grad: true };
}

/// <summary>The place of a layer where adapters sit. Several nest: each changes what those below it compute.</summary>
/// <param name="path">The layer's path, for messages.</param>
/// <param name="inner">What the layer computes alone.</param>
public sealed class AdapterSlot(string path, Func<Tensor, Tensor> inner)
{
    private readonly List<ISlotAdapter> adapters = [];
    private IReadOnlyList<IReadOnlyList<ISlotAdapter>>? rows;

    /// <summary>The adapters that take part, the lowest first.</summary>
    public IReadOnlyList<ISlotAdapter> Adapters => adapters;

    /// <summary>Whether the layer computes alone.</summary>
    internal bool IsEmpty => rows is null && adapters.Count == 0;

    /// <summary>The pair, where a single adapter is no more than one and sits upon the base in every row; null
    /// otherwise.</summary>
    internal LowRankPair? Pair => rows is null && adapters is [ILowRankChange change] ? change.Pair : null;

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
    public Tensor Forward(Tensor input, Generator? dropout)
    {
        if (rows is not null) return ForwardRows(input, dropout);
        return adapters.Count switch
        {
            0 => inner(input),
            1 => adapters[0].Forward(input, inner, dropout),
            _ => Nested(adapters, adapters.Count, input, inner, dropout),
        };
    }

    private static Tensor Nested(
        IReadOnlyList<ISlotAdapter> nested, int count, Tensor input, Func<Tensor, Tensor> lowest, Generator? dropout) =>
        count == 0
        ? lowest(input)
        : nested[count - 1].Forward(input, x => Nested(nested, count - 1, x, lowest, dropout), dropout);

    // The base is computed once for the whole batch; an adapter that changes the input asks for its rows again.
    private Tensor ForwardRows(Tensor input, Generator? dropout)
    {
        if (input.shape[0] != rows!.Count)
            throw new InputException(
                $"{path}: the batch has {input.shape[0]} rows here, but adapters were assigned to {rows.Count}. " +
                "Adapters by row need a name for each row, and layers that keep rows apart: a mixture of experts " +
                    "does not.");
        Tensor all = inner(input);
        Tensor result = all;
        foreach (IGrouping<IReadOnlyList<ISlotAdapter>, int> group in Enumerable.Range(0, rows.Count)
            .GroupBy(row => rows[row]))
        {
            if (group.Key.Count == 0) continue;
            Tensor chosen = tensor(group.Select(row => (long)row).ToArray(), device: input.device);
            Tensor part = input.index_select(0, chosen), below = all.index_select(0, chosen);
            Tensor changed =
                Nested(group.Key, group.Key.Count, part, x => ReferenceEquals(x, part) ? below : inner(x), dropout);
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
    Tensor Forward(Tensor input, Func<Tensor, Tensor> inner, Generator? dropout);
}

/// <summary>An adapter that may be no more than a <see cref="LowRankPair"/>: a training step then computes it together
/// with the base.</summary>
public interface ILowRankChange : ISlotAdapter
{
    /// <summary>The pair; null where the adapter does anything besides.</summary>
    LowRankPair? Pair { get; }
}

/// <summary>A change s·B(A·dropout(x)) of what a projection computes.</summary>
/// <param name="A">[rank, in]</param>
/// <param name="B">[out, rank]</param>
/// <param name="Scale">s.</param>
/// <param name="Dropout">Share of the input of A that is dropped while training, in [0, 1).</param>
public readonly record struct LowRankPair(Tensor A, Tensor B, double Scale, double Dropout);
