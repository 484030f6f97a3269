using System.Diagnostics;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Models.Layers;
using LowRank.Quantization;
using LowRank.Training;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench.Train;

/// <summary>Measures the training steps of <c>lowrank train</c> on random rows.</summary>
internal static class StepBench
{
    public static TrainMeasurement Run(TrainBenchOptions options)
    {
        using DeviceMemory? deviceMemory = DeviceMemory.Watch(options.Device);
        using StepSession session = StepSession.Open(options);
        ProcessMemory.ResetPeak();
        session.Step(); // an untimed step that allocates everything
        session.Step();
        // Before measuring products, which use memory of their own.
        long peak = ProcessMemory.PeakBytes();
        long? devicePeak = deviceMemory?.PeakBytes();

        using StepSession? reference = options.ComputeDtype == WeightFormats.Float32
            || session.Device.type != TorchSharp.DeviceType.CPU ? null
            : StepSession.Open(options with { ComputeDtype = WeightFormats.Float32 });
        reference?.Step();
        var parts = new StepParts(session.Objective, session.Rows);
        List<double> seconds = [], updates = [], float32 = [];
        long managed = 0;
        BesideResult? beside = null;
        // In turn, so a machine that slows down affects both.
        for (int i = 0; i < options.Steps; i++)
        {
            if (options.Beside.Count > 0 && i == options.Steps / 2) beside = BesideResult.Measure(options);
            session.Products.Measure();
            parts.Measure();
            long before = GC.GetTotalAllocatedBytes(precise: true);
            (StepOutcome outcome, double time) = session.TimedStep();
            managed = GC.GetTotalAllocatedBytes(precise: true) - before;
            seconds.Add(time);
            if (reference is not null) float32.Add(reference.TimedStep().Seconds);
            updates.Add(outcome.Update.TotalSeconds);
        }
        return new TrainMeasurement
        {
            Options = options,
            Beside = beside,
            Tokens = session.Tokens,
            TrainedParameters = session.TrainedParameters,
            Seconds = seconds,
            Float32Seconds = float32,
            ProductSeconds = session.Products.Seconds,
            Cost = session.Cost,
            GemmFlopsPerSecond = session.Products.FlopsPerSecond,
            SquareFlopsPerSecond = Square(session.Device),
            PeakBytes = peak - session.WeightBytes,
            DeviceBytes = devicePeak,
            WeightBytes = session.WeightBytes,
            ManagedBytes = managed,
            Parts = [.. parts.Fastest, ("optimizer", updates.Min())],
        };
    }

    private static double Square(Device device)
    {
        var square = new MatrixProduct(2048, 2048, 2048, Transposed: false);
        var rate = new ProductRate(new Dictionary<MatrixProduct, int> { [square] = 1 }, device);
        for (int i = 0; i < 3; i++) rate.Measure();
        return rate.FlopsPerSecond;
    }
}

/// <summary>The floating-point operations that a step needs, counted by shape: every matrix product in the forward
/// pass, and in the backward pass those that lead to a trained weight. Excludes gradients of frozen weights, everything
/// below the lowest adapter, products that are recomputed to save memory, and the masked half of causal
/// attention.</summary>
internal sealed class StepCost
{
    private readonly Dictionary<MatrixProduct, int> products = [];
    private readonly INetwork network;
    private readonly int batch;

    private StepCost(INetwork network, int batch) => (this.network, this.batch) = (network, batch);

    /// <summary>Products with frozen weights, and how often a step does each.</summary>
    public IReadOnlyDictionary<MatrixProduct, int> Products => products;

    /// <summary>Operations of products with frozen weights.</summary>
    public double Frozen => products.Sum(product => product.Key.Flops * product.Value);

    /// <summary>Operations of the pairs.</summary>
    public double Pairs { get; private set; }

    /// <summary>Operations of attention between positions.</summary>
    public double Attention { get; private set; }

    /// <summary>All operations.</summary>
    public double Total => Frozen + Pairs + Attention;

    /// <summary>Counts the operations of a step in one forward pass.</summary>
    /// <param name="adapter">Attached, its weights requiring gradients.</param>
    /// <param name="network">The model.</param>
    /// <param name="objective">The task.</param>
    /// <param name="rows">The step's rows, all of the same length.</param>
    public static StepCost Of(Adapter adapter, INetwork network, IObjective objective, IReadOnlyList<IExample> rows)
    {
        var cost = new StepCost(network, rows.Count);
        Linear[] layers =
            [.. network.LinearLayers, .. network.OutputHead is { } head ? [head] : Array.Empty<Linear>()];
        List<(Linear Layer, ProductCounter Counter)> attached = [];
        foreach (Linear layer in layers)
        {
            int rank = adapter.Layers.TryGetValue(network.ModulePath(layer.Path), out IAdapterLayer? adapted)
                ? (int)((LoraLayer)adapted).A.shape[0] : 0;
            attached.Add((layer, new ProductCounter(layer, cost, rank)));
        }
        foreach ((Linear layer, ProductCounter counter) in attached) layer.Slot.Attach(counter);
        try
        {
            objective.Sum(rows, null).Dispose();
        }
        finally
        {
            foreach ((Linear layer, ProductCounter counter) in attached) layer.Slot.Detach(counter);
        }
        return cost;
    }

    /// <summary>Records a product with a frozen weight.</summary>
    public void Count(MatrixProduct product) => products[product] = products.GetValueOrDefault(product) + 1;

    /// <summary>Records a pair's products: X·Aᵀ and ·Bᵀ; backward dY·B, the gradients of A and B, and the gradient of
    /// the input.</summary>
    public void CountPair(long rows, long inputs, long outputs, long rank, bool needsInput)
    {
        double narrow = 2.0 * rows * rank * inputs, wide = 2.0 * rows * rank * outputs;
        Pairs += narrow + wide + 2 * wide + narrow + (needsInput ? narrow : 0);
    }

    /// <summary>Records a layer's attention: scores and weighted values; twice as much backward.</summary>
    public void CountAttention(long tokens, bool needsGradient) =>
        Attention += AttentionForward(tokens / batch) * (needsGradient ? 3 : 1);

    private double AttentionForward(long length) => network switch
    {
        Decoder decoder =>
            2 * 2.0 * batch * (length * (length + 1) / 2) * decoder.Shape.Heads * decoder.Shape.HeadDimension,
        Encoder encoder => 2 * 2.0 * batch * length * length * encoder.Shape.Heads * encoder.Shape.HeadDimension,
        _ => throw new InputException("bench train measures decoders and encoders."),
    };
}

/// <summary>The parts of a step, timed separately, one after the other.</summary>
internal sealed class StepParts(IObjective objective, IReadOnlyList<IExample> rows)
{
    private readonly Device device = objective.Network.Device;
    private double forward = double.PositiveInfinity;
    private double evaluation = double.PositiveInfinity;
    private double backward = double.PositiveInfinity;

    /// <summary>The fastest time of each part.</summary>
    public IReadOnlyList<(string Part, double Seconds)> Fastest =>
        [("forward and loss", forward), ("backward", backward), ("forward and loss without gradients", evaluation)];

    /// <summary>Runs each part once more; gradients accumulate.</summary>
    public void Measure()
    {
        using var scope = NewDisposeScope();
        long started = Stopwatch.GetTimestamp();
        using (no_grad()) objective.Sum(rows, null).Dispose();
        DeviceWork.Finish(device);
        evaluation = Math.Min(evaluation, Stopwatch.GetElapsedTime(started).TotalSeconds);
        started = Stopwatch.GetTimestamp();
        Tensor loss = objective.Sum(rows, null);
        DeviceWork.Finish(device);
        forward = Math.Min(forward, Stopwatch.GetElapsedTime(started).TotalSeconds);
        started = Stopwatch.GetTimestamp();
        BackwardErrors.Run(() => loss.backward());
        DeviceWork.Finish(device);
        backward = Math.Min(backward, Stopwatch.GetElapsedTime(started).TotalSeconds);
    }
}

/// <summary>A product of activations with a frozen weight: [rows, inputs] with [inputs, outputs].</summary>
/// <param name="Rows">Tokens.</param>
/// <param name="Inputs">The inner dimension.</param>
/// <param name="Outputs">The width of the result.</param>
/// <param name="Transposed">Whether the weight is stored as [outputs, inputs].</param>
internal readonly record struct MatrixProduct(long Rows, long Inputs, long Outputs, bool Transposed)
{
    /// <summary>The number of floating-point operations: a multiplication and an addition per term.</summary>
    public double Flops => 2.0 * Rows * Inputs * Outputs;
}

/// <summary>Occupies a layer's slot above the adapters during one pass and records the products that a step needs
/// there.</summary>
internal sealed class ProductCounter(Linear projection, StepCost cost, int rank) : ISlotAdapter
{
    /// <inheritdoc/>
    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
    {
        long rows = input.numel() / projection.InputSize;
        cost.Count(
            new MatrixProduct(
                rows, projection.InputSize, projection.OutputSize, Transposed: !projection.StoresTransposed));
        // The gradient of the input is for the layers below; it is not needed if nothing is trained there.
        if (input.requires_grad)
            cost.Count(
                new MatrixProduct(
                    rows, projection.OutputSize, projection.InputSize, Transposed: projection.StoresTransposed));
        if (rank > 0) cost.CountPair(rows, projection.InputSize, projection.OutputSize, rank, input.requires_grad);
        if (IsAttentionOutput(projection.Path)) cost.CountAttention(rows, input.requires_grad);
        return inner.Forward(input);
    }

    private static bool IsAttentionOutput(string path) =>
        new[] { "attn.c_proj", "self_attn.o_proj", "attention.output.dense", "self_attn.out_proj" }.Any(
            ending => path.EndsWith(ending, StringComparison.Ordinal));
}

/// <summary>How fast this machine multiplies matrices: the limit for a step.</summary>
/// <remarks>Each product of a step with a frozen weight is computed alone several times, in its own shape and memory
/// layout, into existing memory; the fastest time of each counts. The rate covers all products, weighted by how often a
/// step does each.</remarks>
internal sealed class ProductRate
{
    private readonly IReadOnlyDictionary<MatrixProduct, int> counts;
    private readonly Device device;
    private readonly ScalarType type;
    private readonly Dictionary<MatrixProduct, double> fastest = [];

    /// <summary>Prepares the measurement.</summary>
    /// <param name="counts">The products, and how often a step does each.</param>
    /// <param name="device">The device; null for the processor.</param>
    /// <param name="type">The type of both matrices and of the product.</param>
    public ProductRate(IReadOnlyDictionary<MatrixProduct, int> counts, Device? device = null,
        ScalarType type = ScalarType.Float32) =>
        (this.counts, this.device, this.type) = (counts, device ?? CPU, type);

    /// <summary>Floating-point operations per second.</summary>
    public double FlopsPerSecond => counts.Sum(product => product.Key.Flops * product.Value) / Seconds;

    /// <summary>The time of one step's products alone.</summary>
    public double Seconds => counts.Sum(product => fastest[product.Key] * product.Value);

    /// <summary>Computes each product once more.</summary>
    /// <returns>The time of one step's products in seconds, each at its fastest in this call.</returns>
    public double Measure()
    {
        double sum = 0;
        using var noGradient = no_grad();
        foreach (MatrixProduct product in counts.Keys)
        {
            using var scope = NewDisposeScope();
            Tensor input = rand(product.Rows, product.Inputs, type, device),
                result = zeros(product.Rows, product.Outputs, type, device);
            Tensor weight = product.Transposed ? rand(product.Outputs, product.Inputs, type, device).t()
                : rand(product.Inputs, product.Outputs, type, device);
            double least = double.PositiveInfinity;
            for (int i = 0; i < 2; i++)
            {
                DeviceWork.Finish(device);
                long started = Stopwatch.GetTimestamp();
                result.addmm_(input, weight, beta: 0, alpha: 1);
                DeviceWork.Finish(device);
                least = Math.Min(least, Stopwatch.GetElapsedTime(started).TotalSeconds);
            }
            fastest[product] = Math.Min(least, fastest.GetValueOrDefault(product, double.PositiveInfinity));
            sum += least * counts[product];
        }
        return sum;
    }
}
