using System.Diagnostics;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Tasks;
using LowRank.Training;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench.Train;

/// <summary>A model with an adapter that runs the training steps of <c>lowrank train</c> on random rows, and the rate
/// of the steps' own matrix products.</summary>
internal sealed class StepSession : IDisposable
{
    private const int Seed = 1;
    private const double LearningRate = 1e-4;
    private const int Queued = 4; // steps of a timed one on a device
    private readonly BenchFolder folder;
    private readonly PretrainedModel model;
    private readonly Adapter adapter;
    private readonly StepRunner runner;
    private readonly StepBatches batches;
    private readonly Lazy<StepCost> cost;
    private readonly Lazy<ProductRate> products;
    private int step;

    private StepSession(TrainBenchOptions options, BenchFolder folder, PretrainedModel model)
    {
        (this.folder, this.model) = (folder, model);
        (Objective, Rows) = Task(model, options);
        adapter = Adapter.Create(
            model, new LoraConfig
            {
                Rank = options.Rank,
                Alpha = 2 * options.Rank,
                Dropout = options.Dropout,
                TargetModules = BenchTargets.Select(options.Targets),
            }, Seed);
        adapter.Attach();
        var trained = new TrainedAdapter(adapter);
        batches = new StepBatches([Rows], Rows.Sum(row => (long)row.PredictedLabels));
        runner = new StepRunner(
            Objective, trained,
            new TrainerOptions
            {
                LearningRate = LearningRate,
                Seed = Seed,
                GradientCheckpointing = options.Checkpointing,
            });
        trained.Rules.Start(options.Steps, LearningRate);
        cost = new Lazy<StepCost>(() => StepCost.Of(adapter, model.Network, Objective, Rows));
        products = new Lazy<ProductRate>(() => new ProductRate(
            cost.Value.Products, Device, model.ComputeDtype == "bfloat16" ? ScalarType.BFloat16 : ScalarType.Float32));
    }

    /// <summary>The task.</summary>
    public IObjective Objective { get; }

    /// <summary>The rows of every step.</summary>
    public IReadOnlyList<IExample> Rows { get; }

    /// <summary>Tokens per step.</summary>
    public long Tokens => Rows.Sum(row => (long)row.Tokens);

    /// <summary>Number of trained weights.</summary>
    public long TrainedParameters => adapter.ParameterCount;

    /// <summary>Bytes of the base's weights.</summary>
    public long WeightBytes => model.Network.WeightBytes;

    /// <summary>The device.</summary>
    public Device Device => model.Network.Device;

    /// <summary>The operations of a step, counted by shape.</summary>
    public StepCost Cost => cost.Value;

    /// <summary>The rate of the step's products.</summary>
    public ProductRate Products => products.Value;

    /// <summary>Opens a model and attaches an adapter. Sets the number of torch's threads.</summary>
    /// <param name="options">The options, which are checked here.</param>
    /// <exception cref="InputException">The options are invalid, or do not fit the model.</exception>
    public static StepSession Open(TrainBenchOptions options)
    {
        options.Check();
        set_num_threads(options.Threads ?? ProcessorCores.Usable());
        Device device = Devices.Parse(options.Device);
        Devices.UseTf32(device, options.Tf32);
        BenchFolder folder = options.Alike ? BenchFolder.OfConfig(options.Shape, options.Dropout, options.Layers)
            : BenchFolder.Open(options.Shape, options.Dropout, options.Layers);
        PretrainedModel? model = null;
        try
        {
            model = options.Alike ? PretrainedModel.Alike(
                    folder.Path, Seed, device, options.BaseDtype, options.ComputeDtype)
                : PretrainedModel.Open(
                    folder.Path, device, baseDtype: options.BaseDtype, computeDtype: options.ComputeDtype);
            return new StepSession(options, folder, model);
        }
        catch
        {
            model?.Dispose();
            folder.Dispose();
            throw;
        }
    }

    /// <summary>Runs a step.</summary>
    public StepOutcome Step() => runner.Run(batches, LearningRate, ++step);

    /// <summary>Runs a step and times it; on a device, the mean of several that follow each other without anyone
    /// waiting, as in a run.</summary>
    public (StepOutcome Outcome, double Seconds) TimedStep()
    {
        DeviceWork.Finish(Device);
        long started = Stopwatch.GetTimestamp();
        int count = runner.Queues ? Queued : 1;
        for (int i = 1; i < count; i++) runner.Queue(batches, LearningRate);
        StepOutcome outcome = Step();
        DeviceWork.Finish(Device);
        return (outcome, Stopwatch.GetElapsedTime(started).TotalSeconds / count);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        runner.Dispose();
        adapter.Dispose();
        model.Dispose();
        folder.Dispose();
    }

    private static (IObjective Objective, IReadOnlyList<IExample> Rows) Task(
        PretrainedModel model, TrainBenchOptions options)
    {
        var random = new StableRandom(Seed);
        int first = options.Length - Math.Max(1, (int)Math.Round(options.Labelled * options.Length));
        int[] Ids() =>
            [.. Enumerable.Range(0, options.Length)
            .Select(_ => (int)(random.NextDouble() * model.Network.VocabularySize))];
        int[] Labels(int[] ids) => [.. ids.Select((id, place) => place < first ? TokenizedExample.Ignored : id)];
        int[][] rows = [.. Enumerable.Range(0, options.Batch).Select(_ => Ids())];
        if (options.Length > model.Network.MaxPositions)
            throw new InputException(
                $"--length is {options.Length}; {options.Shape} takes at most {model.Network.MaxPositions} tokens.");
        return model.Network switch
        {
            Decoder decoder =>
                (new CausalObjective(decoder), [.. rows.Select(ids => new TokenizedExample(ids, Labels(ids)))]),
            Encoder => (new MaskedLanguageModelTask(model, null, new TaskSettings()),
                [.. rows.Select(ids => new MaskedText(new TextInput(ids), Labels(ids), [], 0, null))]),
            _ => throw new InputException(
                $"bench train measures decoders and encoders; {options.Shape} is a {model.Config.ModelType} model."),
        };
    }
}
