using LowRank.Data;
using LowRank.Generation;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Recipes;
using LowRank.Recipes.Runs;
using LowRank.Tests.Training;
using LowRank.Tokenizers;
using LowRank.Training;

namespace LowRank.Tests.Facade;

/// <summary>The front door: one model, adapted, asked and kept.</summary>
public sealed class LanguageModelTests : IDisposable
{
    private const string Prompt = "1:";
    private readonly LoadedModel tiny = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static GenerationOptions Short { get; } = new() { MaxNewTokens = 12 };

    public void Dispose() => tiny.Dispose();

    [Fact]
    public async Task It_adapts_to_rows_of_a_program_and_writes_otherwise_than_before()
    {
        await using LanguageModel model = await tiny.Open();
        string before = await model.GenerateTextAsync(Prompt, Short, Token);
        var heard = new List<TrainingProgress>();

        AdaptationResult result = await model.AdaptAsync(
            LoadedModel.Data("yes"), LoadedModel.Lora, LoadedModel.Training, new Heard<TrainingProgress>(heard), Token);

        Assert.Equal((4, RunEnding.Completed), (result.Steps, result.Ending));
        Assert.Equal(4, result.Losses.Count);
        Assert.True(result.Losses[^1] < result.Losses[0]);
        Assert.Equal(result.Loss, result.Losses[^1]);
        Assert.Equal([0, 1, 2, 3, 4], heard.Select(progress => progress.Step));
        Assert.All(heard.Skip(1), progress => Assert.True(progress is { Steps: 4, Loss: > 0, TokensPerSecond: > 0 }));
        Assert.Same(result.Adapter, model.Adapter);
        Assert.Equal("causal_lm", result.Adapter.Task);
        Assert.NotEqual(before, await model.GenerateTextAsync(Prompt, Short, Token));
        await model.UseAdapterAsync(null, Token);
        Assert.Equal(before, await model.GenerateTextAsync(Prompt, Short, Token));
    }

    [Fact]
    public async Task A_run_is_the_recipes_run_to_the_byte_and_its_folder_is_read_as_any_other()
    {
        File.WriteAllLines(tiny["rows.jsonl"], LoadedModel.Rows("yes").Select(
            row => $$"""{"prompt": "{{row.Prompt}}", "completion": "{{row.Completion}}"}"""));
        using (RecipeRun run = RecipeRun.Prepare(Recipe.Parse(
            $"model: {tiny.Path}\ndata: {{train: rows.jsonl, validation: rows.jsonl, cache: false}}\n" +
            "adapter: {rank: 2, alpha: 8, target_modules: all-linear}\n" +
            "training: {steps: 4, batch_size: 2, learning_rate: 0.05, threads: 1}\noutput: recipe\n", tiny["."])))
            run.Train(new Recorder(), false, Token);
        string kept;
        await using (LanguageModel model = await tiny.Open())
        {
            AdaptationResult result = await model.AdaptAsync(LoadedModel.Data("yes"), LoadedModel.Lora,
                LoadedModel.Training with { Validation = LoadedModel.Data("yes"), OutputFolder = tiny["facade"] },
                null, Token);
            kept = result.OutputFolder!;
            Assert.NotEmpty(result.Evaluations);
            Assert.Equal(result.Evaluations.Min(evaluation => evaluation.Loss), result.BestLoss);
            await model.Adapter!.SaveAsync(tiny["saved"], Token);
        }
        byte[] expected = File.ReadAllBytes(tiny["recipe/adapter/adapter_model.safetensors"]);
        Assert.Equal(expected, File.ReadAllBytes(Path.Combine(kept, "adapter/adapter_model.safetensors")));
        Assert.Equal(expected, File.ReadAllBytes(tiny["saved/adapter_model.safetensors"]));
        RunRecord record = RunRecord.Open([kept])[0];
        Assert.Empty(record.Problems);
        Assert.Equal("finished", record.Facts.State);
        // Its recipe is whole: rows of a program stand beside it.
        Assert.Single(Recipe.Load(Path.Combine(kept, "recipe.yaml")).Data.Train, File.Exists);
    }

    [Fact]
    public async Task Texts_are_those_of_the_engine_and_pieces_are_the_text()
    {
        using PretrainedModel direct = PretrainedModel.Open(tiny.Path);
        Tokenizer tokenizer = Tokenizer.Load(tiny.Path);
        GenerationOptions sampled = Short with { Temperature = 1, Seed = 3 };
        string expected = tokenizer.Decode(
            new TextGenerator(direct.Decoder).Generate([PromptEncoding.Prompt(tokenizer, Prompt)], sampled)[0]);

        await using LanguageModel model = await tiny.Open();
        var pieces = new List<string>();
        await foreach (string piece in model.GenerateAsync(Prompt, sampled, Token)) pieces.Add(piece);

        Assert.Equal(expected, string.Concat(pieces));
        Assert.True(pieces.Count > 1);
        Assert.DoesNotContain("", pieces);
        Assert.Equal(expected, await model.GenerateTextAsync(Prompt, sampled, Token));
        IReadOnlyList<string> several =
            await model.GenerateTextsAsync([Prompt, "22: a"], Short, batchSize: 1, cancellationToken: Token);
        Assert.Equal(await model.GenerateTextAsync(Prompt, Short, Token), several[0]);
        Assert.Equal(several, await model.GenerateTextsAsync([Prompt, "22: a"], Short, cancellationToken: Token));
    }

    [Fact]
    public async Task A_conversation_is_answered_as_the_engine_does_turn_by_turn()
    {
        await using LanguageModel model = await tiny.Open();
        List<ChatMessage> talk = [new("user", "a b")];
        talk.Add(new("assistant", await model.ChatTextAsync(talk, Short, Token)));
        talk.Add(new("user", "c"));
        string second = await model.ChatTextAsync(talk, Short, Token);

        await using LanguageModel fresh = await tiny.Open(); // which has kept nothing of the first turn
        var pieces = new List<string>();
        await foreach (string piece in fresh.ChatAsync(talk, Short, Token)) pieces.Add(piece);
        Assert.Equal(second, string.Concat(pieces));
    }

    [Fact]
    public async Task Adapters_are_saved_loaded_switched_merged_and_removed()
    {
        await using LanguageModel model = await tiny.Open();
        string bare = await model.GenerateTextAsync(Prompt, Short, Token);
        LoadedAdapter yes = (await Adapt(model, "yes")).Adapter;
        string ofYes = await model.GenerateTextAsync(Prompt, Short, Token);
        LoadedAdapter no = (await Adapt(model, "no")).Adapter;
        string ofNo = await model.GenerateTextAsync(Prompt, Short, Token);
        Assert.Equal(3, new[] { bare, ofYes, ofNo }.Distinct().Count());
        Assert.Equal([yes, no], model.Adapters);

        await model.UseAdapterAsync(yes, Token);
        Assert.Equal(ofYes, await model.GenerateTextAsync(Prompt, Short, Token));
        await yes.SaveAsync(tiny["yes"], Token);
        await yes.SaveAsync(tiny["yes"], Token); // replaces an adapter
        Assert.Equal("float32", (await model.MergeAsync(tiny["merged"], Token)).WrittenAs);
        await model.RemoveAdapterAsync(yes, Token);
        Assert.Null(model.Adapter);
        Assert.Equal(bare, await model.GenerateTextAsync(Prompt, Short, Token));
        await Assert.ThrowsAsync<ArgumentException>(() => model.UseAdapterAsync(yes, Token));
        await Assert.ThrowsAsync<ArgumentException>(() => yes.SaveAsync(tiny["gone"], Token));

        LoadedAdapter again = await model.LoadAdapterAsync(tiny["yes"], Token);
        Assert.Equal([no, again], model.Adapters);
        Assert.Equal(ofYes, await model.GenerateTextAsync(Prompt, Short, Token));
        await using LanguageModel merged =
            await LanguageModel.LoadAsync(tiny["merged"], LoadedModel.Options, null, Token);
        Assert.Equal(ofYes, await merged.GenerateTextAsync(Prompt, Short, Token));
    }

    [Fact]
    public async Task Nothing_is_written_over_what_is_no_adapter()
    {
        await using LanguageModel model = await tiny.Open();
        await Adapt(model, "yes");
        Directory.CreateDirectory(tiny["full"]);
        File.WriteAllText(tiny["full/notes.txt"], "mine");
        foreach (Func<Task> write in new Func<Task>[] {
            () => model.Adapter!.SaveAsync(tiny["full"], Token), () => model.MergeAsync(tiny["full"], Token) })
            Assert.Contains("is not empty", (await Assert.ThrowsAsync<InputException>(write)).Message);
        Assert.Equal("mine", File.ReadAllText(tiny["full/notes.txt"]));
        await model.UseAdapterAsync(null, Token);
        Assert.Contains("No adapter is in use",
            (await Assert.ThrowsAsync<InputException>(() => model.MergeAsync(tiny["merged"], Token))).Message);
    }

    [Fact]
    public async Task Scores_are_the_loss_row_by_row_whatever_the_batch()
    {
        await using LanguageModel model = await tiny.Open();
        Dataset rows = Dataset.From(new object[] {
            new { prompt = "1:", completion = " yes, and then some" }, new { text = "a b c" },
            new { messages = new[] { new ChatMessage("user", "a"), new ChatMessage("assistant", "b") } },
        });
        IReadOnlyList<TextScore> scores = await model.ScoreAsync(rows, null, Token);
        EvaluationResult all = await model.EvaluateAsync(rows, null, Token);
        Assert.Equal(3, scores.Count);
        Assert.Equal(all.Tokens, scores.Sum(score => score.Tokens));
        Assert.Equal(all.Loss * all.Tokens, -scores.Sum(score => score.LogLikelihood), 1e-3);
        IReadOnlyList<TextScore> single = await model.ScoreAsync(rows, new() { BatchSize = 1 }, Token);
        for (int row = 0; row < 3; row++)
            Assert.Equal(single[row].LogLikelihood, scores[row].LogLikelihood, 1e-3);
        Assert.True(scores[0].Perplexity > 1);
        string message = (await Assert.ThrowsAsync<InputException>(
            () => model.ScoreAsync(Dataset.FromTexts(new string('a', 600)), null, Token))).Message;
        Assert.Contains("longer than 512 tokens", message);
        Assert.Contains("rows, row 1 (6", message);
    }

    [Fact]
    public async Task A_quantised_base_is_adapted_as_it_is_open_and_writes_as_before_afterwards()
    {
        await using LanguageModel model = await tiny.Open(LoadedModel.Options with { BaseDtype = "int8" });
        string before = await model.GenerateTextAsync(Prompt, Short, Token);
        await Adapt(model, "yes");
        string adapted = await model.GenerateTextAsync(Prompt, Short, Token);
        Assert.NotEqual(before, adapted);
        await Adapt(model, "yes"); // beside the first, whose changes must not count
        Assert.Equal(adapted, await model.GenerateTextAsync(Prompt, Short, Token));
        await model.UseAdapterAsync(null, Token);
        Assert.Equal(before, await model.GenerateTextAsync(Prompt, Short, Token));
    }

    /// <summary>Products in bfloat16, and a head as the base is: the base that is open is trained on.</summary>
    [Fact]
    public async Task A_base_computes_in_bfloat16_and_its_head_is_kept_as_the_base()
    {
        using IDisposable units = BFloat16Units.State(ComputeType.EmulatedBFloat16);
        await using LanguageModel model = await tiny.Open(
            LoadedModel.Options with { BaseDtype = "int8", BaseHead = "base", ComputeDtype = "auto" });
        string before = await model.GenerateTextAsync(Prompt, Short, Token);
        AdaptationResult result = await Adapt(model, "yes");
        Assert.Contains("products with the base's frozen weights are computed in bfloat16", result.Notes);
        Assert.NotEqual(before, await model.GenerateTextAsync(Prompt, Short, Token));
        await model.UseAdapterAsync(null, Token);
        Assert.Equal(before, await model.GenerateTextAsync(Prompt, Short, Token));
    }

    [Fact]
    public async Task A_device_without_units_for_bfloat16_refuses_it()
    {
        Assert.SkipWhen(BFloat16Units.Missing(TorchSharp.torch.CPU) is null, "this processor has units for bfloat16");
        InputException refused = await Assert.ThrowsAsync<InputException>(
            () => tiny.Open(LoadedModel.Options with { ComputeDtype = "bfloat16" }));
        Assert.StartsWith("LanguageModelOptions.ComputeDtype is bfloat16, but this processor has", refused.Message);
        Assert.EndsWith("Use LanguageModelOptions.ComputeDtype = float32.", refused.Message);
    }

    private static Task<AdaptationResult> Adapt(LanguageModel model, string word) =>
        model.AdaptAsync(LoadedModel.Data(word), LoadedModel.Lora, LoadedModel.Training, null, Token);
}

/// <summary>Hears at once, on the thread that tells.</summary>
internal sealed class Heard<T>(ICollection<T> all) : IProgress<T>
{
    public void Report(T value) => all.Add(value);
}
