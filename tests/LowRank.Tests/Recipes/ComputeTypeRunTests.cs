using System.Text.Json.Nodes;
using LowRank.Kernels;
using LowRank.Recipes;
using LowRank.Recipes.Runs;
using LowRank.Tests.Models;
using LowRank.Tests.Training;
using LowRank.Training;
using static TorchSharp.torch;

namespace LowRank.Tests.Recipes;

/// <summary>Runs whose products with frozen weights are computed in bfloat16.</summary>
public sealed class ComputeTypeRunTests : IDisposable
{
    private readonly TinyModel tiny = new();
    private readonly TemporaryFolder folder = new();

    public ComputeTypeRunTests()
    {
        tiny.Save();
        File.WriteAllText(folder["rows.jsonl"], string.Concat(Enumerable.Range(0, 10)
            .Select(row => $"{{\"input_ids\": [{row}, 2, 3, 4], \"labels\": [-100, 2, 3, 4]}}\n")));
    }

    public void Dispose()
    {
        tiny.Dispose();
        folder.Dispose();
    }

    private Recipe Parse(string keys, string more = "") => Recipe.Parse(
        $"model: {tiny.Path}\n{keys}\ndata: {{train: rows.jsonl}}\nadapter: {{rank: 2}}\n" +
        $"training: {{steps: 4, batch_size: 5, learning_rate: 1e-2{more}}}\noutput: out\n", folder.Path);

    private static RecipeRun Prepare(Recipe recipe, ComputeType? units = ComputeType.EmulatedBFloat16)
    {
        using IDisposable? stated = units is { } compute ? BFloat16Units.State(compute) : null;
        return RecipeRun.Prepare(recipe);
    }

    private JsonObject Facts() => JsonNode.Parse(File.ReadAllText(folder["out/run.json"]))!.AsObject();

    [Fact]
    public void A_run_says_and_records_what_it_computes_in()
    {
        foreach (string key in (string[])["bfloat16", "auto"])
        {
            using RecipeRun run = Prepare(Parse($"compute_dtype: {key}"));
            Assert.Contains("products with the base's frozen weights are computed in bfloat16", run.Notes);
            Assert.Contains(run.Notes, note => note.Contains("weights of the base are kept in bfloat16"));
            var recorder = new Recorder();
            run.Train(recorder);
            Assert.True(recorder.Steps[^1].Loss < recorder.Steps[0].Loss);
            Assert.Equal("bfloat16", (string?)Facts()["compute_dtype"]);
            Assert.Contains($"compute_dtype: \"{key}\"", File.ReadAllText(folder["out/recipe.yaml"]));
        }
        using RecipeRun plain = Prepare(Parse("compute_dtype: float32"), null);
        Assert.DoesNotContain(plain.Notes, note => note.Contains("bfloat16"));
        plain.Train(new Recorder());
        Assert.Equal("float32", (string?)Facts()["compute_dtype"]);
    }

    [Fact]
    public void A_resumed_run_says_that_it_computes_in_another_type()
    {
        using (RecipeRun run = Prepare(Parse("compute_dtype: auto", ", max_tokens: 10"))) run.Train(new Recorder());
        using (RecipeRun same = Prepare(Parse("compute_dtype: auto")))
            Assert.DoesNotContain(same.ChangesSinceStart(), Names);
        using (RecipeRun elsewhere = Prepare(Parse("compute_dtype: auto"), ComputeType.Float32))
        {
            Assert.Contains("compute_dtype auto was bfloat16 where the run began, and is float32 here",
                elsewhere.ChangesSinceStart());
            Assert.Equal(4, elsewhere.Train(new Recorder(), resume: true).Steps);
        }
        using RecipeRun other = Prepare(Parse("compute_dtype: bfloat16"));
        Assert.Equal("compute_dtype was \"auto\" when the run began, and is \"bfloat16\" now",
            Assert.Single(other.ChangesSinceStart(), Names));

        static bool Names(string change) => change.StartsWith("compute_dtype", StringComparison.Ordinal);
    }

    [Fact]
    public void A_machine_without_the_unit_refuses_it_with_all_other_problems()
    {
        Assert.SkipWhen(BFloat16Units.Missing(CPU) is null, "this processor has units for bfloat16");
        string said = Assert.Throws<InputException>(() => Prepare(Recipe.Parse(
            $"model: {tiny.Path}\ncompute_dtype: bfloat16\ndata: {{train: none.jsonl}}\noutput: out\n", folder.Path),
            null)).Message;
        Assert.Contains("compute_dtype is bfloat16, but this processor has", said);
        Assert.Contains("AVX512_BF16 or AMX", said);
        Assert.Contains("Use compute_dtype: float32.", said);
        Assert.Contains("none.jsonl", said);
        Assert.Single(said.Split("AVX512_BF16").Skip(1));
        Assert.False(Directory.Exists(folder["out"]));
        using RecipeRun run = Prepare(Parse("compute_dtype: auto"), null);
        Assert.Equal("float32", run.Model.ComputeDtype);
    }

    [Fact]
    public void Full_training_leaves_auto_at_float32()
    {
        using RecipeRun run = Prepare(Parse("compute_dtype: auto").AsFullTraining() with { ComputeDtype = "auto" });
        Assert.Equal("float32", run.Model.ComputeDtype);
        Assert.Equal(("float32", "float32"),
            (Parse("compute_dtype: bfloat16").AsFullTraining().ComputeDtype,
            Parse("base_dtype: nf4\nbase_head: base").AsFullTraining().BaseHead));
    }

    [Fact]
    public void A_head_in_the_bases_format_is_trained_with_and_has_no_effect_in_float32()
    {
        using (RecipeRun run = Prepare(Parse("base_dtype: nf4\nbase_head: base"), null))
        {
            Assert.Equal("nf4", run.Model.Network.OutputHead!.Packed!.Format);
            run.Train(new Recorder());
        }
        string said = Assert.Throws<InputException>(() => Prepare(Parse("base_head: base"), null)).Message;
        Assert.Contains("base_head has no effect, because the base is kept in float32; remove it, or set base_dtype",
            said);
    }
}
