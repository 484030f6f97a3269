using System.Diagnostics;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Models;
using LowRank.Tensors;
using LowRank.Tokenization;
using LowRank.Training;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench.Lengths;

/// <summary>Measures training steps on rows of real lengths: a plain loop, packing, and prompt sharing, in turns.</summary>
internal static class LengthsBench
{
    private const int Seed = 1;

    public static LengthsMeasurement Run(LengthsOptions options)
    {
        options.Check();
        set_num_threads(options.Threads ?? ProcessorCores.Physical());
        using BenchFolder folder = BenchFolder.Open(options.Shape);
        using PretrainedModel model = PretrainedModel.Open(folder.Path);
        Tokenizer tokenizer = Tokenizer.Load(options.Tokenizer);
        IReadOnlyList<TokenizedExample> rows = ExampleLoader.Load(options.Data, tokenizer, new ExampleOptions
        {
            VocabularySize = model.Network.VocabularySize, MaxLength = Math.Min(options.MaxLength, model.Network.MaxPositions),
        }).Examples;
        // B is drawn too: with B = 0 the gradient of A would be 0, and nothing could be compared.
        using Adapter adapter = Adapter.Create(model, new LoraConfig
        {
            Rank = options.Rank, Alpha = 2 * options.Rank, TargetModules = Targets(options.Targets), InitialWeights = InitialWeights.False,
        }, Seed);
        adapter.Attach();
        return Measure(model.Decoder, new TrainedAdapter(adapter), rows, options);
    }

    private static LengthsMeasurement Measure(Decoder model, TrainedAdapter trained, IReadOnlyList<TokenizedExample> rows, LengthsOptions options)
    {
        var sharing = new CausalObjective(model, new RowBatching { SharePrompts = PromptSharing.Grouped });
        var packing = new CausalObjective(model, new RowBatching { SharePrompts = PromptSharing.Off });
        var plain = new PlainObjective(model);
        var drawn = new BatchPlan(rows, options.Batch, 1, shuffle: true, Seed);
        var grouped = new BatchPlan(rows, options.Batch, 1, shuffle: true, Seed, sharing.Arranger);
        (IObjective Objective, BatchPlan Plan, LoopMeasurement Found)[] loops =
            [(plain, drawn, new()), (packing, drawn, new()), (plain, grouped, new()), (sharing, grouped, new())];
        using var runner = new LoopRunner(trained);
        for (int step = 0; step <= options.Steps; step++)
        {
            foreach ((IObjective objective, BatchPlan plan, LoopMeasurement found) in loops)
            {
                StepBatches batches = plan.Step(step % plan.StepsPerEpoch);
                ProcessMemory.ResetPeak();
                (double loss, double norm, double seconds) = runner.Run(objective, batches);
                if (step == 0) continue; // everything is allocated, nothing is timed
                found.PeakBytes = Math.Max(found.PeakBytes, ProcessMemory.PeakBytes());
                IReadOnlyList<IExample> taken = [.. batches.MicroBatches.SelectMany(batch => batch)];
                found.Add(batches.PredictedLabels, taken.Sum(row => (long)row.Tokens), batches.MicroBatches.Sum(objective.Arranger.Positions), seconds, loss, norm);
            }
        }
        return new LengthsMeasurement
        {
            Rows = rows.Count, Prompts = rows.Distinct(PromptComparer.Instance).Count(),
            Plain = loops[0].Found, Packed = loops[1].Found, PlainGrouped = loops[2].Found, Shared = loops[3].Found,
        };
    }

    private static ModuleSelection? Targets(IReadOnlyList<string> names) => names switch
    {
        [] => null,
        [ModuleSelection.AllLinearText] => ModuleSelection.AllLinear,
        _ => ModuleSelection.Of(names),
    };

    // At rate 0: every loop meets the same weights.
    private sealed class LoopRunner(TrainedAdapter trained) : IDisposable
    {
        private readonly Dictionary<IObjective, StepRunner> runners = [];
        private long number;

        public (double Loss, double Norm, double Seconds) Run(IObjective objective, StepBatches batches)
        {
            if (!runners.TryGetValue(objective, out StepRunner? runner))
                runners[objective] = runner = new StepRunner(objective, trained, new TrainingOptions { Seed = Seed });
            long started = Stopwatch.GetTimestamp();
            StepOutcome outcome = runner.Run(batches, 0, ++number);
            return (outcome.Loss, outcome.GradientNorm, Stopwatch.GetElapsedTime(started).TotalSeconds);
        }

        public void Dispose()
        {
            foreach (StepRunner runner in runners.Values) runner.Dispose();
        }
    }
}
