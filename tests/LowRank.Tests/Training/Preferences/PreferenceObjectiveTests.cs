using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Data.Preferences;
using LowRank.Models;
using LowRank.Training;
using LowRank.Training.Preferences;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Training.Preferences;

/// <summary>Objectives of preferences on the embedded base: what holds whatever the data.</summary>
public sealed class PreferenceObjectiveTests : IDisposable
{
    private static readonly PreferencePair[] Pairs =
        [.. Enumerable.Range(0, 4).Select(i => new PreferencePair(
            Row([5, 9, 3 + i, 8, 40 + i], [11, 12 + i, 13]), Row([5, 9, 3 + i, 8, 40 + i], [.. Enumerable.Range(21, 2 +
                i)]),
            null))];

    private readonly PretrainedModel model = PretrainedModel.Open(Path.Combine(RepositoryFiles.Root, "models", "base"));
    private readonly Adapter adapter;

    public PreferenceObjectiveTests()
    {
        adapter = Adapter.Create(model, new LoraConfig { Rank = 4, TargetModules = ModuleSelection.AllLinear }, 3);
        adapter.Attach();
        adapter.SetTrainable(true);
    }

    public static TheoryData<string, string> Objectives => new()
    {
        { "dpo", "sigmoid" }, { "dpo", "ipo" }, { "dpo", "sft" }, { "kto", "" }, { "orpo", "" }, { "cpo", "" },
        { "simpo", "" },
    };

    public void Dispose()
    {
        adapter.Dispose();
        model.Dispose();
    }

    [Theory, MemberData(nameof(Objectives))]
    public void Computing_a_prompt_once_changes_losses_and_gradients_only_by_rounding(string type, string loss)
    {
        Draw();
        (double plain, float[] expected) = Step(type, loss, new RowBatching { Packing = false });
        foreach (PromptSharing sharing in (PromptSharing[])[PromptSharing.Off, PromptSharing.InStep])
        {
            (double shared, float[] found) = Step(type, loss, new RowBatching { SharePrompts = sharing });
            Assert.Equal(plain, shared, 1e-4 * Math.Max(1, Math.Abs(plain)));
            Assert.InRange(found.Zip(expected).Max(pair => Math.Abs(pair.First - pair.Second)), 0,
                1e-4 * expected.Max(Math.Abs));
        }
    }

    // Reported of others: TRL issues 2617 and 5710.
    [Theory, MemberData(nameof(Objectives))]
    public void A_step_of_several_micro_batches_is_that_of_one(string type, string loss)
    {
        Draw();
        (double whole, float[] expected) = Step(type, loss, new RowBatching(), rowsPerBatch: 4);
        foreach (int rows in (int[])[1, 3])
        {
            (double parts, float[] found) = Step(type, loss, new RowBatching(), rows);
            Assert.Equal(whole, parts, 1e-4 * Math.Max(1, Math.Abs(whole)));
            Assert.InRange(found.Zip(expected).Max(pair => Math.Abs(pair.First - pair.Second)), 0,
                1e-4 * expected.Max(Math.Abs));
        }
    }

    // Reported of others: TRL issues 1962 and 1311 (stuck there), mlx-lm-lora issue 65 (no gradient at all).
    [Fact]
    public void A_new_adapters_first_loss_is_the_logarithm_of_two_and_its_gradient_moves_it()
    {
        (double loss, float[] gradient) = Step("dpo", "sigmoid", new RowBatching());
        Assert.Equal(Math.Log(2), loss, 1e-6);
        Assert.True(gradient.Max(Math.Abs) > 1e-4);
        Assert.Equal(0.5, Step("kto", "", new RowBatching()).Loss, 1e-6);
    }

    [Fact]
    public void The_reference_is_the_base_whatever_the_adapter_has_become_and_is_computed_once()
    {
        using var reference = new ReferenceModel(adapter, start: null);
        TokenizedExample[] rows = [Pairs[0].Chosen, Pairs[0].Rejected];
        int computed = 0;
        double[] Scores() => reference.Scores([rows], group =>
        {
            computed++;
            Assert.False(adapter.IsAttached);
            return Sums(group);
        });
        double[] before = Scores();
        Draw();
        Assert.Equal(before, Scores());
        Assert.Equal(1, computed);
        Assert.True(adapter.IsAttached);
        Assert.NotEqual(before, Sums(rows).Select(score => (double)score));
        adapter.Detach();
        Assert.Equal(before, Sums(rows).Select(score => (double)score));
    }

    [Fact]
    public void The_reference_of_a_run_that_goes_on_is_the_adapter_that_it_started_from()
    {
        using var folder = new TemporaryFolder();
        Draw();
        adapter.Save(folder["start"]);
        TokenizedExample[] rows = [Pairs[0].Chosen, Pairs[0].Rejected];
        float[] expected = Sums(rows);
        using var reference = new ReferenceModel(adapter, Adapter.Load(folder["start"], model));
        Draw();
        Assert.NotEqual(expected, Sums(rows));
        Assert.Equal(expected.Select(score => (double)score), reference.Scores([rows], Sums));
        Assert.True(adapter.IsAttached);
    }

    [Fact]
    public void A_complete_reference_is_read_again_by_the_next_run_on_the_same_rows_alone()
    {
        using var folder = new TemporaryFolder();
        IReadOnlyList<TokenizedExample>[] groups = [.. Pairs.Select(pair => new[] { pair.Chosen, pair.Rejected })];
        TokenizedExample[] rows = [.. groups.SelectMany(group => group)];
        int computed = 0;
        double[] Complete(string identity, IReadOnlyList<IReadOnlyList<TokenizedExample>> groups)
        {
            using var reference = new ReferenceModel(adapter, start: null);
            IReadOnlyList<float> Count(IReadOnlyList<TokenizedExample> group)
            {
                computed++;
                return Sums(group);
            }
            reference.Complete(groups, Count,
                ReferenceFile.For(identity, groups.SelectMany(group => group), folder["cache"]), progress: null);
            return reference.Scores(groups, Count);
        }
        double[] first = Complete("a", groups);
        Assert.Equal(4, computed);
        Assert.Equal(first, Complete("a", groups));
        Assert.Equal(4, computed);
        Assert.Equal(first, Complete("another base", groups));
        Assert.Equal(8, computed);
        Assert.Equal(first[..6], Complete("a", groups[..3]));
        Assert.Equal(11, computed);
    }

    [Fact]
    public void Each_loss_that_a_recipe_may_name_has_a_formula() => Assert.Equal(
        PreferenceSettings.LossNames.Order(), PairLosses.Known.Append(PairLosses.Sft).Order());

    // Reported of others: TRL issue 1473.
    [Fact]
    public void Certain_tokens_leave_the_ratio_of_odds_and_its_gradient_finite()
    {
        using var scope = NewDisposeScope();
        Tensor chosen = tensor((float[])[0, -1e-9f, -1e-3f, -0.7f, -30]).requires_grad_(),
            rejected = tensor((float[])[-1, 0, -40, -1e-8f, -2]).requires_grad_();
        Tensor odds = PairLosses.LogOddsRatio(chosen, rejected);
        nn.functional.logsigmoid(odds).sum().backward();
        Assert.All([odds, chosen.grad!, rejected.grad!], values => Assert.True(values.isfinite().all().item<bool>()));
        Assert.Equal(Math.Log(Math.Exp(-0.7) / (1 - Math.Exp(-0.7))), odds[3].item<float>()
            + Math.Log(Math.Exp(-1e-7) / (1 - Math.Exp(-1e-7))), 1e-2);
    }

    // The gradient of the mean loss of all four rows.
    private (double Loss, float[] Gradient) Step(string type, string loss, RowBatching batching, int rowsPerBatch = 4)
    {
        using var scope = NewDisposeScope();
        using var reference = new ReferenceModel(adapter, start: null);
        var settings = new PreferenceSettings
        {
            Type = type, Losses = [loss.Length == 0 ? "sigmoid" : loss], Beta = type == "simpo" ? 2 : 0.3,
            NllWeight = type == "cpo" ? 1 : 0,
        };
        IObjective objective = type == "kto" ? new RatedObjective(model.Decoder, settings,
            batching) { Reference = reference }
            : new PairObjective(model.Decoder, settings, batching) { Reference = reference };
        IExample[] rows = type == "kto" ? [.. Pairs.Select((pair, i) => new RatedCompletion(
            i % 2 == 0 ? pair.Chosen : pair.Rejected, Pairs[(i + 3) % 4].Chosen, i % 2 == 0, null))] : Pairs;
        IReadOnlyList<IExample>[] parts = [.. rows.Chunk(rowsPerBatch)];
        foreach ((string _, Tensor weight) in adapter.TrainedWeights) weight.grad = null;
        objective.Begin(parts);
        double sum = 0;
        foreach (IReadOnlyList<IExample> part in parts)
        {
            Tensor mean = objective.Sum(part, null) / Number(rows.Length);
            mean.backward();
            sum += mean.item<float>();
        }
        return (sum, [.. adapter.TrainedWeights.SelectMany(weight =>
            weight.Value.grad is { } gradient ? gradient.data<float>().ToArray() : new float[weight.Value.numel()])]);
    }

    private float[] Sums(IReadOnlyList<TokenizedExample> rows)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        return LabelScores.Of(model.Decoder, rows, new RowBatching()).Sums().data<float>().ToArray();
    }

    // Moves the adapter away from the base.
    private void Draw()
    {
        using var noGradient = no_grad();
        using var random = new Generator(5);
        foreach ((string _, Tensor weight) in adapter.TrainedWeights)
            weight.add_(randn(weight.shape, generator: random) * Number(0.05), Number(1));
    }

    private static TokenizedExample Row(int[] prompt, int[] completion) =>
        new([.. prompt, .. completion], [.. prompt.Select(_ => TokenizedExample.Ignored), .. completion]);
}
