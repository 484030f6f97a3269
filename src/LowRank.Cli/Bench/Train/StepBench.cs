using System.Diagnostics;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Models;
using LowRank.Tasks;
using LowRank.Tasks.MaskedLanguageModel;
using LowRank.Tensors;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench.Train;

/// <summary>Measures training steps on random rows: the steps that <c>lowrank train</c> does.</summary>
internal static class StepBench
{
    private const int Seed = 1;

    public static TrainMeasurement Run(TrainBenchOptions options)
    {
        options.Check();
        set_num_threads(options.Threads ?? ProcessorCores.Physical());
        Device device = Devices.Parse(options.Device);
        Devices.UseTf32(device, options.Tf32);
        using BenchFolder folder = BenchFolder.Open(options.Shape, options.Dropout);
        using PretrainedModel model = PretrainedModel.Open(folder.Path, device, baseDtype: options.BaseDtype);
        using Adapter adapter = Adapter.Create(model, new LoraConfig { Rank = options.Rank, Alpha = 2 * options.Rank, Dropout = options.Dropout, TargetModules = Targets(options.Targets) }, Seed);
        adapter.Attach();
        var trained = new TrainedAdapter(adapter);
        (IObjective objective, IReadOnlyList<IExample> rows) = Task(model, options);
        long weights = model.Network.Parameters.Values.Sum(weight => weight.numel() * weight.element_size()) + model.Network.PackedWeights.Values.Sum(weight => weight.Bytes);
        using var runner = new StepRunner(objective, trained, new TrainingOptions { LearningRate = 1e-4, Seed = Seed, GradientCheckpointing = options.Checkpointing });
        trained.Rules.Start(options.Steps, 1e-4);
        var batches = new StepBatches([rows], rows.Sum(row => (long)row.PredictedLabels));
        return Measure(options, model.Network, adapter, objective, runner, batches, weights);
    }

    private static TrainMeasurement Measure(TrainBenchOptions options, INetwork network, Adapter adapter, IObjective objective, StepRunner runner, StepBatches batches, long weights)
    {
        IReadOnlyList<IExample> rows = batches.MicroBatches[0];
        ProcessMemory.ResetPeak();
        runner.Run(batches, 1e-4, 1); // everything is allocated, nothing is timed
        runner.Run(batches, 1e-4, 2);
        long peak = ProcessMemory.PeakBytes(); // before products are measured, which take memory of their own

        StepCost cost = StepCost.Of(adapter, network, objective, rows);
        var rate = new ProductRate(cost.Products, network.Device);
        var parts = new StepParts(objective, rows);
        List<double> seconds = [], updates = [];
        long managed = 0;
        // In turns, so that a machine that slows down slows both.
        for (int i = 0; i < options.Steps; i++)
        {
            rate.Measure();
            parts.Measure();
            long before = GC.GetTotalAllocatedBytes(precise: true);
            long started = Stopwatch.GetTimestamp();
            StepOutcome outcome = runner.Run(batches, 1e-4, i + 3);
            DeviceWork.Finish(network.Device);
            seconds.Add(Stopwatch.GetElapsedTime(started).TotalSeconds);
            managed = GC.GetTotalAllocatedBytes(precise: true) - before;
            updates.Add(outcome.Update.TotalSeconds);
        }
        return new TrainMeasurement
        {
            Tokens = rows.Sum(row => (long)row.Tokens),
            TrainedParameters = adapter.ParameterCount,
            StepSeconds = seconds.Min(),
            MedianSeconds = seconds.Order().ElementAt(seconds.Count / 2),
            ProductSeconds = rate.Seconds,
            Cost = cost,
            GemmFlopsPerSecond = rate.FlopsPerSecond,
            SquareFlopsPerSecond = Square(network.Device),
            PeakBytes = peak - weights,
            WeightBytes = weights,
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

    private static ModuleSelection? Targets(IReadOnlyList<string> names) => names switch
    {
        [] => null,
        [ModuleSelection.AllLinearText] => ModuleSelection.AllLinear,
        _ => ModuleSelection.Of(names),
    };

    private static (IObjective Objective, IReadOnlyList<IExample> Rows) Task(PretrainedModel model, TrainBenchOptions options)
    {
        var random = new StableRandom(Seed);
        int first = options.Length - Math.Max(1, (int)Math.Round(options.Labelled * options.Length));
        int[] Ids() => [.. Enumerable.Range(0, options.Length).Select(_ => (int)(random.NextDouble() * model.Network.VocabularySize))];
        int[] Labels(int[] ids) => [.. ids.Select((id, place) => place < first ? TokenizedExample.Ignored : id)];
        int[][] rows = [.. Enumerable.Range(0, options.Batch).Select(_ => Ids())];
        if (options.Length > model.Network.MaxPositions)
            throw new InputException($"--length is {options.Length}; {options.Shape} takes {model.Network.MaxPositions} tokens at most.");
        return model.Network switch
        {
            Decoder decoder => (new CausalObjective(decoder), [.. rows.Select(ids => new TokenizedExample(ids, Labels(ids)))]),
            Encoder => (new MaskedLanguageModelTask(model, null, new TaskSettings()), [.. rows.Select(ids => new MaskedText(new TextInput(ids), Labels(ids), [], 0, null))]),
            _ => throw new InputException($"bench train measures decoders and encoders; {options.Shape} is a {model.Config.ModelType} model."),
        };
    }
}
