using System.Text.RegularExpressions;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Tests.Models;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Training;

/// <summary>Steps that a device takes while nobody waits for it; here the processor takes them.</summary>
public sealed partial class QueuedStepTests
{
    private static readonly TrainerOptions Options =
        new() { Steps = 9, BatchSize = 3, LearningRate = 0.05, Seed = 5, WeightDecay = 0.01, EvaluateEvery = 4,
        SaveEvery = 3 };

    private static readonly TokenizedExample[] Rows = [.. Enumerable.Range(0, 8).Select(row =>
    {
        int[] ids = [.. Enumerable.Range(0, 3 + row % 7).Select(i => (row * 5 + i * 3) % 32)];
        return new TokenizedExample(ids, ids);
    })];

    [Theory]
    [InlineData(false, false), InlineData(true, false), InlineData(true, true)]
    public void A_run_tells_what_a_run_that_reads_every_step_tells(bool eightBit, bool checkpointing)
    {
        TrainerOptions options = Options with { EightBitState = eightBit, GradientCheckpointing = checkpointing };
        (Recorder plain, string[] saved, _) = Train(options with { QueuesSteps = false });
        (Recorder queued, string[] queuedSaved, _) = Train(options with { QueuesSteps = true });
        Assert.Equal(saved, queuedSaved);
        Assert.Equal(plain.Steps.Select(step => (step.Step, step.Tokens, step.LearningRate)),
            queued.Steps.Select(step => (step.Step, step.Tokens, step.LearningRate)));
        double tolerance = eightBit ? 1e-3 : 1e-5; // the roundings of QueuedAdam
        foreach ((TrainingStep one, TrainingStep other) in plain.Steps.Zip(queued.Steps))
        {
            Assert.Equal(one.Loss, other.Loss, tolerance * one.Loss);
            Assert.Equal(one.GradientNorm, other.GradientNorm, 10 * tolerance * one.GradientNorm);
        }
        Assert.Equal([4L, 8, 9], queued.Evaluations.Select(evaluation => evaluation.Step));
        foreach ((EvaluationResult one, EvaluationResult other) in plain.Evaluations.Zip(queued.Evaluations))
            Assert.Equal(one.Loss, other.Loss, tolerance * one.Loss);
    }

    [Theory]
    [InlineData(false, false), InlineData(false, true), InlineData(true, false), InlineData(true, true)]
    public void A_stopped_run_resumes_to_the_same_bytes(bool eightBit, bool queues)
    {
        TrainerOptions options = Options with { EightBitState = eightBit, QueuesSteps = queues };
        (Recorder whole, _, byte[] expected) = Train(options);
        using var folder = new TemporaryFolder();
        using (var cancellation = new CancellationTokenSource())
        {
            var first = new Recorder { OnStep = step => { if (step.Step == 5) cancellation.Cancel(); } };
            Train(options, folder.Path, first, cancellation: cancellation.Token);
            Assert.InRange(first.Steps.Count, 5, 8); // what was queued is still counted
        }
        var second = new Recorder();
        (_, _, byte[] resumed) = Train(options, folder.Path, second, resume: true);
        Assert.Equal(expected, resumed);
        Assert.Equal(whole.Steps[^1].Loss, second.Steps[^1].Loss);
    }

    [Fact]
    public void Steps_that_are_not_finite_end_a_run_after_as_many_as_are_allowed()
    {
        var recorder = new Recorder();
        NonFiniteLossException diverged = Assert.Throws<NonFiniteLossException>(() =>
            Train(Options with { QueuesSteps = true, MaxSkippedSteps = 3, EvaluateEvery = 0 }, recorder: recorder,
                spoils: true));
        Assert.Equal(3, recorder.Steps.Count);
        Assert.All(recorder.Steps, step => Assert.NotNull(step.Skipped));
        Assert.Contains("the gradient of base_model", recorder.Steps[^1].Skipped, StringComparison.Ordinal);
        Assert.Contains("the gradient of base_model", diverged.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Queued_updates_are_those_of_the_processor()
    {
        foreach (bool eightBit in (bool[])[false, true])
        {
            var options = new TrainerOptions { WeightDecay = 0.05, MaxGradientNorm = 1, EightBitState = eightBit };
            using var scope = NewDisposeScope();
            KeyValuePair<string, Tensor>[] plain = Weights(), queued = Weights();
            using var optimizer = new AdamW(plain, options);
            using var moments = new AdamMoments(queued, eightBit);
            using var adam = new QueuedAdam(queued, moments, options);
            for (int step = 1; step <= 5; step++)
            {
                SetGradients(plain, step);
                SetGradients(queued, step);
                double norm = new GradientNorm(plain.Select(weight => weight.Value)).Measure();
                optimizer.Step(1e-2, Factor, GradientClipping.Factor(norm, 1));
                float found = adam.Step(tensor(1f), 1e-2, Factor).item<float>();
                Assert.Equal(norm, found, 1e-5 * norm);
            }
            Assert.Equal(5, adam.StepCount);
            // float32 rounds at other places; in a byte per number, that may choose the neighbouring number.
            double tolerance = eightBit ? 1e-3 : 2e-6;
            foreach ((KeyValuePair<string, Tensor> one, KeyValuePair<string, Tensor> other) in plain.Zip(queued))
                Assert.InRange((one.Value - other.Value).abs().max().item<float>(), 0, tolerance);
        }
    }

    [Theory]
    [InlineData("loss"), InlineData("gradient"), InlineData("too large to be squared")]
    public void A_step_that_is_not_finite_changes_nothing(string what)
    {
        using var scope = NewDisposeScope();
        KeyValuePair<string, Tensor>[] weights = Weights();
        using var moments = new AdamMoments(weights, packs: true);
        using var adam = new QueuedAdam(
            weights, moments, new TrainerOptions { WeightDecay = 0.1, MaxGradientNorm = 0 });
        for (int good = 0; good < 2; good++) // before the first step that is taken, and after it
        {
            byte[][] before = Bytes(weights, moments);
            SetGradients(weights, 1);
            if (what == "gradient") weights[1].Value.grad![3] = float.NaN;
            if (what == "too large to be squared") weights[1].Value.grad![3] = 1e30f;
            adam.Step(tensor(what == "loss" ? float.PositiveInfinity : 1f), 1e-2, Factor);
            Assert.Equal(good, adam.StepCount);
            Assert.Equal(before, Bytes(weights, moments));
            SetGradients(weights, 2);
            adam.Step(tensor(1f), 1e-2, Factor);
            Assert.NotEqual(before, Bytes(weights, moments));
        }
    }

    [Fact]
    public void A_weight_without_gradient_is_left_alone()
    {
        using var scope = NewDisposeScope();
        KeyValuePair<string, Tensor>[] weights = Weights();
        using var moments = new AdamMoments(weights, packs: false);
        using var adam = new QueuedAdam(weights, moments, new TrainerOptions { WeightDecay = 0.1 });
        byte[] before = weights[1].Value.bytes.ToArray(), other = weights[0].Value.bytes.ToArray();
        for (int step = 1; step <= 2; step++)
        {
            SetGradients(weights, step);
            weights[1].Value.grad = null;
            adam.Step(tensor(1f), 1e-2, Factor);
        }
        Assert.Equal(before, weights[1].Value.bytes.ToArray());
        Assert.NotEqual(other, weights[0].Value.bytes.ToArray());
    }

    // Copies from ordinary memory make the processor wait until the device has finished what it has to do.
    [Fact]
    public void Batches_are_sent_in_one_place()
    {
        string code = RepositoryFiles.Read("src/LowRank/Training/StepRunner.cs")
            + RepositoryFiles.Read("src/LowRank/Training/CausalObjective.cs")
            + RepositoryFiles.Read("src/LowRank/Kernels/HeadLoss.cs");
        Assert.DoesNotMatch(@"(?<!\w)tensor\([^;]*device:", code);
        Assert.DoesNotMatch(@"[lL]abels\.to\(", code);
        Assert.Matches(@"Devices\.Send\(", code);
    }

    // Whatever reads a number of a tensor makes the processor wait until the device has finished what it has to do. The
    // places of the step's path that do it are named here with their reasons.
    [Fact]
    public void What_a_step_calls_reads_no_number_from_a_device()
    {
        Dictionary<string, string[]> allowed = new()
        {
            // A device's steps go through Queue and Read; what is read once is read by Read.
            ["StepRunner.cs"] = ["sum.item<float>()", ".cpu().data<float>()"],
            ["QueuedAdam.cs"] = ["taken.item<long>()"], // StepCount, for checkpoints
            ["CausalObjective.cs"] = ["batch.Labels.narrow(0, at, labels), null).item<float>()"], // losses of rows
            ["HeadLoss.cs"] = ["labels.min().item<long>()", "labels.max().item<long>()"], // on the processor
            ["GradientNorm.cs"] = ["sum().item<double>()"], // for methods that look at gradients
            ["Dropout.cs"] = ["seed.item<long>()"], // drawn by the processor's generator
            ["DynamicMap.cs"] = ["means.data<float>()"], // once per process
            ["CrossEntropy.cs"] = [], ["Attention.cs"] = [], ["Rotary.cs"] = [],
            // A batch with padding: one reading per batch.
            ["ForwardContext.cs"] = ["mask.all().item<bool>()", "mask.all().item<bool>()"],
            ["KeyValueCache.cs"] = ["leftPadding.cpu().data<long>()", "keyMask.sum().item<long>()"], // generation
            ["FeedForward.cs"] = ["chosen.cpu().view(-1).data<long>()"], // a mixture sends tokens to its experts
        };
        string source = Path.Combine(RepositoryFiles.Root, "src/LowRank");
        string[] files = [.. new[] { "Training/StepRunner.cs", "Training/QueuedAdam.cs", "Training/CausalObjective.cs",
            "Adapters/Methods/Lora.cs" }.Concat(new[] { "Kernels", "Models/Layers", "Quantization" }
            .SelectMany(folder => Directory.GetFiles(Path.Combine(source, folder), "*.cs")))];
        List<string> problems = [];
        foreach (string file in files)
        {
            string code = File.ReadAllText(Path.Combine(source, file));
            foreach (string known in allowed.GetValueOrDefault(Path.GetFileName(file)) ?? [])
            {
                Assert.Contains(known, code, StringComparison.Ordinal);
                int at = code.IndexOf(known, StringComparison.Ordinal);
                code = code.Remove(at, known.Length);
            }
            problems.AddRange(Reading().Matches(code).Select(match => $"{Path.GetFileName(file)}: {match.Value}"));
        }
        Assert.Equal([], problems.Where(problem => !FormatFiles.Any(problem.StartsWith)));
    }

    // Formats are packed on the processor, when a model is opened.
    private static readonly string[] FormatFiles =
        ["BFloat16Format.cs: ", "Int8Format.cs: ", "Nf4.cs: ", "BitsAndBytesReader.cs: "];

    [GeneratedRegex(@"\.item<|\.cpu\(\)|\.data<|\.nonzero\(|masked_select|\.ToSingle\(\)|\.ToInt64\(\)")]
    private static partial Regex Reading();

    private static (Recorder Recorder, string[] Saved, byte[] Weights) Train(
        TrainerOptions options, string? output = null, Recorder? recorder = null, bool resume = false,
        bool spoils = false, CancellationToken cancellation = default)
    {
        using var folder = new TemporaryFolder();
        output ??= folder.Path;
        recorder ??= new Recorder();
        using var tiny = new TinyModel();
        // Large enough for the state of a byte per number.
        using Adapter adapter = Adapter.Create(tiny.Model, new LoraConfig
        {
            Rank = 300, Alpha = 300, Dropout = 0.1, TargetModules = ModuleSelection.Create(["q_proj", "up_proj"]),
        }, seed: 1);
        adapter.Attach();
        var trained = new TrainedAdapter(adapter);
        IObjective objective = new CausalObjective(tiny.Model.Decoder);
        if (spoils) objective = new SpoiledObjective(objective, trained.Weights[1].Value);
        new Trainer(objective, trained, options, output, recorder)
            .Run(Rows, options.EvaluateEvery == 0 ? [] : Rows[..3], resume, cancellation);
        string[] saved = [.. Directory.GetDirectories(Path.Combine(output, "checkpoints"))
            .Select(path => Path.GetFileName(path)).Order()];
        byte[] state = File.ReadAllBytes(Path.Combine(output, "checkpoints", saved[^1], "optimizer.safetensors"));
        return (recorder, saved, [.. trained.Weights.SelectMany(weight => weight.Value.bytes.ToArray()), .. state]);
    }

    private static double Factor(string name) => name == "b" ? 2 : 1;

    private static KeyValuePair<string, Tensor>[] Weights()
    {
        using var random = new Generator().manual_seed(2);
        return
        [
            KeyValuePair.Create("a", randn(60, 90, generator: random).requires_grad_()),
            KeyValuePair.Create("b", randn(37, generator: random).requires_grad_()),
            KeyValuePair.Create("c", randn(5000, generator: random).requires_grad_()),
        ];
    }

    private static void SetGradients(KeyValuePair<string, Tensor>[] weights, long seed)
    {
        using var random = new Generator().manual_seed(seed);
        foreach ((string _, Tensor weight) in weights) weight.grad = randn(weight.shape, generator: random);
    }

    private static byte[][] Bytes(KeyValuePair<string, Tensor>[] weights, AdamMoments moments) =>
        [.. weights.Concat(moments.State()).Select(part => part.Value.detach().contiguous().bytes.ToArray())];
}
