using System.Security.Cryptography;
using LowRank.Recipes;
using LowRank.Tests.Models;
using LowRank.Tests.Training;
using LowRank.Training;

namespace LowRank.Tests.Recipes;

/// <summary>Recipes whose run is gone on with.</summary>
public sealed class ResumedRunTests : IDisposable
{
    private readonly TinyModel tiny = new();
    private readonly TemporaryFolder folder = new();

    public ResumedRunTests()
    {
        tiny.Save();
        File.WriteAllText(
            folder["rows.jsonl"],
            string.Concat(
                Enumerable.Range(0, 10)
                .Select(row => $"{{\"input_ids\": [{row}, 2, 3, 4], \"labels\": [-100, 2, 3, 4]}}\n")));
    }

    public void Dispose()
    {
        tiny.Dispose();
        folder.Dispose();
    }

    private RecipeRun Prepare(string training = "") => RecipeRun.Prepare(Recipe.Parse(
        $"model: {tiny.Path}\ndata: {{train: rows.jsonl, validation: rows.jsonl}}\nadapter: {{rank: 2, " +
            "target_modules: [q_proj]}\n" +
        $"training: {{steps: 6, batch_size: 2, threads: 1{training}}}\ncomparison: {{generations: 0}}\noutput: out\n",
            folder.Path));

    private void Begin()
    {
        using RecipeRun run = Prepare(", max_tokens: 10");
        run.MeasureBefore(resume: false);
        Assert.Equal(RunEnding.TokensSpent, run.Train(new Recorder()).Ending);
    }

    private string[] Listing() =>
        [.. Directory.GetFileSystemEntries(folder["out"], "*", SearchOption.AllDirectories)
        .Order(StringComparer.Ordinal)
        .Select(file =>
        $"{file} {File.GetLastWriteTimeUtc(file).Ticks} " +
        $"{(File.Exists(file) ? Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file))) : "")}")];

    [Fact]
    public void A_refused_resume_changes_nothing_on_disk()
    {
        Begin();
        string[] before = Listing();
        using (RecipeRun other = Prepare(", gradient_accumulation: 2, learning_rate: 9e-3"))
            Assert.Contains(
                "a step took 2 rows, and takes 4 now",
                Assert.Throws<InputException>(() => other.Train(new Recorder(), resume: true)).Message);
        Assert.Equal(before, Listing());
        using RecipeRun again = Prepare();
        Assert.DoesNotContain(
            again.ChangesSinceStart(), change => change.Contains("learning_rate", StringComparison.Ordinal));
        Assert.Equal(6, again.Train(new Recorder(), resume: true).Steps);
    }

    [Fact]
    public void A_resumed_run_does_not_measure_again_what_it_began_with()
    {
        ComparisonSide began;
        using (RecipeRun run = Prepare(", max_tokens: 10"))
        {
            began = run.MeasureBefore(resume: false)!;
            run.Train(new Recorder());
        }
        using (RecipeRun again = Prepare())
        {
            ComparisonSide known =
                again.MeasureBefore(resume: true, () => throw new InvalidOperationException("measured again"))!;
            Assert.Equal(began.Loss, known.Loss);
            again.Train(new Recorder(), resume: true);
            again.Compare(known, again.Measure()!);
        }
        // Other rows are another comparison.
        File.AppendAllText(folder["rows.jsonl"], "{\"input_ids\": [9, 2, 3], \"labels\": [-100, 2, 3]}\n");
        using RecipeRun more = Prepare();
        int measured = 0;
        more.MeasureBefore(resume: true, () =>
        {
            measured++;
            return began;
        });
        Assert.Equal(1, measured);
    }

    [Theory]
    [InlineData("", null, true)]
    [InlineData("save_every: auto", null, true)]
    [InlineData("save_every: null", null, true)]
    [InlineData("save_every: none", null, false)]
    [InlineData("save_every: 20", 20L, false)]
    public void Save_every_takes_a_number_of_steps_auto_or_none(string yaml, long? steps, bool byTime)
    {
        Recipe recipe = Recipe.Parse($"model: m\ndata: {{train: t}}\noutput: o\ntraining: {{{yaml}}}\n", folder.Path);
        Assert.Equal((steps, byTime), (recipe.Training.SaveEvery, recipe.Training.SavesByTime));
        TrainerOptions options = RecipeOptions.Training(recipe);
        Assert.Equal((steps, byTime ? TimeSpan.FromMinutes(10) : (TimeSpan?)null),
            (options.SaveEvery, options.SaveInterval));
        Assert.Equal(recipe.Training, Recipe.Parse(recipe.ToYaml(), folder.Path).Training);
    }

    [Theory]
    [InlineData("0")]
    [InlineData("often")]
    public void Anything_else_is_refused(string value) =>
        Assert.Contains(
            "training.save_every is " + (value == "0" ? "0" : "often")
            + ", expected auto, none or a whole number of at least 1",
        Assert.Throws<InputException>(
            () => Recipe.Parse($"model: m\ndata: {{train: t}}\noutput: o\ntraining: {{save_every: {value}}}\n",
            folder.Path)).Message.Replace("\"", "", StringComparison.Ordinal));

    [Fact]
    public void An_alpha_beyond_float32_is_refused() =>
        Assert.Contains("lora_alpha: found 1e+308, expected a number that scales changes (alpha / r) within float32",
        Assert.Throws<InputException>(
            () => RecipeRun.Prepare(
                Recipe.Parse(
                    $"model: {tiny.Path}\ndata: {{train: rows.jsonl}}\noutput: out\nadapter: {{alpha: 1e308}}\n",
                    folder.Path))).Message);
}
