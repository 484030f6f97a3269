using CsCheck;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Tests.Models;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Training;

[Collection("alone")]
public sealed class PackedTrainingTests
{
    private static readonly TrainerOptions Options =
        new() { Steps = 4, BatchSize = 3, GradientAccumulation = 2, LearningRate = 1e-2, EvaluateEvery = 0 };

    // Tokens below the tiny model's 32, rows up to 60 of its 64 positions.
    private static readonly Gen<TokenizedExample> Row =
        Gen.Select(Gen.Int[0, 3], Gen.Int[1, 31].Array[2, 40], Gen.Int[0, 30], Gen.Int[0, 9])
        .Select((prompt, rest, learned, hidden) =>
    {
        int[] ids = [.. Enumerable.Range(1, prompt * 6).Select(i => i * prompt % 31), .. rest];
        return new TokenizedExample(
            ids, [.. ids.Select((id, i) => i < learned || i % 10 == hidden ? TokenizedExample.Ignored : id)]);
    });

    public static TheoryData<bool, string, int?> Batchings =>
        new() { { true, "InStep", null }, { true, "Grouped", null }, { true, "Off", 40 }, { true, "Grouped", 70 },
        { false, "Off", 50 } };

    [Fact]
    public void Any_rows_have_the_loss_and_gradients_of_the_padded_batch()
    {
        using var tiny = new TinyModel();
        // A small scale keeps the sums well conditioned. With a large one, float32 rounds the same rows up to 3e-4 of
        // the largest gradient apart, padded in one batch or one by one; with this one at most 2e-6 over 4000 draws.
        using Adapter adapter =
            Adapter.Create(
                tiny.Model, new LoraConfig { Rank = 2, Alpha = 0.25, TargetModules = ModuleSelection.AllLinear,
                InitLoraWeights = InitialWeights.False }, 1);
        adapter.Attach();
        IReadOnlyList<KeyValuePair<string, Tensor>> weights = new TrainedAdapter(adapter).Weights;
        (double Loss, double[] Gradients) Of(RowBatching batching, TokenizedExample[] rows)
        {
            using var scope = NewDisposeScope();
            foreach (KeyValuePair<string, Tensor> weight in weights) weight.Value.grad = null;
            Tensor sum = new CausalObjective(tiny.Model.Decoder, batching).Sum(rows, null);
            sum.backward();
            return (sum.item<float>(),
                [.. weights.SelectMany(weight => weight.Value.grad!.data<float>().ToArray())
                .Select(value => (double)value)]);
        }
        Row.Array[2, 9].Where(rows => rows.Any(row => row.PredictedLabels > 0)).Sample(rows =>
        {
            (double loss, double[] gradients) = Of(new RowBatching { Packing = false }, rows);
            double size = gradients.Max(Math.Abs);
            foreach (PromptSharing sharing in (PromptSharing[])[PromptSharing.Off, PromptSharing.InStep])
            {
                (double found, double[] foundGradients) = Of(new RowBatching { SharePrompts = sharing }, rows);
                Assert.Equal(loss, found, 2e-5 * loss);
                for (int i = 0; i < gradients.Length; i++) Assert.Equal(gradients[i], foundGradients[i], 2e-5 * size);
            }
        }, iter: 40, threads: 1);
    }

    [Theory, MemberData(nameof(Batchings))]
    public void A_run_is_that_of_padded_rows_in_their_order(bool packing, string sharing, int? tokens)
    {
        TokenizedExample[] examples = Examples(18);
        var batching =
            new RowBatching { Packing = packing, SharePrompts = Enum.Parse<PromptSharing>(sharing),
            BatchTokens = tokens };
        (float[] found, Recorder steps) = Train(examples, Options, batching);
        // Grouping changes which rows a step takes: the plain run then takes the same order from the data.
        TokenizedExample[] order = examples;
        TrainerOptions plain = Options;
        if (batching.SharePrompts == PromptSharing.Grouped)
        {
            using var tiny = new TinyModel();
            var plan = new BatchPlan(
                examples, 3, 2, true, Options.Seed,
                new CausalObjective(tiny.Model.Decoder, batching with { BatchTokens = null }).Arranger);
            order = [.. Enumerable.Range(0, (int)plan.StepsPerEpoch).SelectMany(step => plan.Step(step).MicroBatches)
                .SelectMany(rows => rows).Cast<TokenizedExample>()];
            plain = Options with { Shuffle = false, Steps = plan.StepsPerEpoch };
            (found, steps) = Train(examples, Options with { Steps = plan.StepsPerEpoch }, batching);
        }
        (float[] expected, Recorder expectedSteps) = Train(order, plain, new RowBatching { Packing = false });
        Assert.Equal(expectedSteps.Steps.Count, steps.Steps.Count);
        for (int i = 0; i < steps.Steps.Count; i++)
        {
            Assert.Equal(expectedSteps.Steps[i].Tokens, steps.Steps[i].Tokens);
            Assert.Equal(expectedSteps.Steps[i].Loss, steps.Steps[i].Loss, 1e-4);
        }
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], found[i], 2e-3);
    }

    [Theory, MemberData(nameof(Batchings))]
    public void A_cancelled_run_resumes_to_what_an_unbroken_one_gives(bool packing, string sharing, int? tokens)
    {
        var batching =
            new RowBatching { Packing = packing, SharePrompts = Enum.Parse<PromptSharing>(sharing),
            BatchTokens = tokens };
        TrainerOptions options = Options with { Steps = 6, SaveEvery = 1 };
        TokenizedExample[] examples = Examples(14);
        (float[] unbroken, Recorder all) = Train(examples, options, batching, dropout: 0.2);
        using var folder = new TemporaryFolder();
        using (var cancellation = new CancellationTokenSource())
        {
            var first = new Recorder { OnStep = step => { if (step.Step == 3) cancellation.Cancel(); } };
            Train(examples, options, batching, 0.2, folder.Path, first, cancellation: cancellation.Token);
        }
        var second = new Recorder();
        float[] resumed = Train(examples, options, batching, 0.2, folder.Path, second, resume: true);
        Assert.Equal(unbroken, resumed);
        Assert.Equal(all.Steps.Skip(3).Select(step => step.Loss), second.Steps.Select(step => step.Loss));
    }

    [Fact]
    public void Held_out_loss_does_not_depend_on_how_rows_are_batched()
    {
        using var tiny = new TinyModel();
        TokenizedExample[] examples = Examples(23);
        EvaluationResult padded =
            Evaluation.Run(
                new CausalObjective(tiny.Model.Decoder, new RowBatching { Packing = false }), examples, 4, 0);
        foreach (PromptSharing sharing in Enum.GetValues<PromptSharing>())
        {
            EvaluationResult packed =
                Evaluation.Run(
                    new CausalObjective(tiny.Model.Decoder, new RowBatching { SharePrompts = sharing }),
                    examples, 4, 0);
            Assert.Equal(padded.Loss, packed.Loss, 1e-5);
            Assert.Equal(padded.Tokens, packed.Tokens);
        }
    }

    [Fact]
    public void Live_tensors_do_not_grow_over_a_hundred_steps()
    {
        List<long> counts = [];
        var recorder = new Recorder { OnStep = _ => counts.Add(Tensor.TotalCount) };
        using var folder = new TemporaryFolder();
        var batching = new RowBatching { SharePrompts = PromptSharing.Grouped, BatchTokens = 100 };
        Train(Examples(20), Options with { Steps = 100, EvaluateEvery = 25 }, batching, 0.1, folder.Path, recorder,
            validation: Examples(5));
        Assert.Equal(100, counts.Count);
        Assert.InRange(counts[10..].Max(), 1, counts[9]);
    }

    // Three or four completions a prompt, of different lengths.
    private static TokenizedExample[] Examples(int count) => [.. Enumerable.Range(0, count).Select(row =>
    {
        int prompt = row / 4;
        int[] start = [.. Enumerable.Range(0, 9 + prompt % 3).Select(i => (prompt * 7 + i * 3) % 31)],
            end = [.. Enumerable.Range(0, 2 + row * 5 % 11).Select(i => (row * 5 + i * 11) % 32)];
        return new TokenizedExample([.. start, .. end], [.. start.Select(_ => TokenizedExample.Ignored), .. end]);
    })];

    private static (float[] Weights, Recorder Steps) Train(
        TokenizedExample[] examples, TrainerOptions options, RowBatching batching, double dropout = 0)
    {
        using var folder = new TemporaryFolder();
        var recorder = new Recorder();
        return (Train(examples, options, batching, dropout, folder.Path, recorder), recorder);
    }

    private static float[] Train(
        TokenizedExample[] examples, TrainerOptions options, RowBatching batching, double dropout, string output,
        Recorder recorder,
        bool resume = false, TokenizedExample[]? validation = null, CancellationToken cancellation = default)
    {
        using var tiny = new TinyModel();
        using Adapter adapter =
            Adapter.Create(
                tiny.Model, new LoraConfig { Rank = 2, Dropout = dropout,
                TargetModules = ModuleSelection.AllLinear }, 1);
        adapter.Attach();
        new Trainer(new CausalObjective(tiny.Model.Decoder, batching), new TrainedAdapter(adapter), options, output,
            recorder).Run(examples, validation ?? [], resume, cancellation);
        return [.. adapter.Weights.SelectMany(w => w.Value.detach().contiguous().data<float>().ToArray())];
    }
}
