using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Models.Sentences;
using LowRank.Recipes;
using LowRank.Tasks;
using LowRank.Training;
using TorchSharp;

namespace LowRank.Tests.Tasks;

/// <summary>Embeddings of any base, and of folders of sentence-transformers, which are read and written.</summary>
public sealed class EmbeddingTests : IDisposable
{
    private const string Gpt2 = """
        {"model_type": "gpt2", "vocab_size": 32, "n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 12, "embd_pdrop": 0, "attn_pdrop": 0, "resid_pdrop": 0,
         "architectures": ["GPT2LMHeadModel"]}
        """;

    private readonly TinyTask tiny = new();

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void A_language_model_alone_gives_embeddings()
    {
        using var decoder = new TinyTask(Gpt2);
        using (PretrainedModel model = PretrainedModel.FromScratch(decoder.Path, 1)) decoder.Save(model);
        using TaskModel opened = TaskModel.Open(decoder.Path, task: "embedding");
        Assert.Equal(1, Predict(opened, decoder, "good")[0].Sum(value => value * value), 1e-4);
        Assert.Contains("was made for causal_lm, not for sequence_classification",
            Assert.Throws<InputException>(() => TaskModel.Open(decoder.Path, task: "sequence_classification")).Message,
                StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_of_sentence_transformers_tells_its_task_pooling_length_and_prompts()
    {
        SaveBase(Pipeline(Pooling.Max));
        using TaskModel opened = TaskModel.Open(tiny.Path);
        Assert.Equal("embedding", opened.Kind.Name);
        float[] query = Predict(opened, tiny, "rome")[0];
        Assert.NotEqual(1, query.Sum(value => value * value), 1e-2); // no Normalize
        using (TaskModel other = TaskModel.Open(tiny.Path, settings: settings => settings with { Prompt = "none" }))
            Assert.Equal(query, Predict(other, tiny, "good rome")[0]);
        using (TaskModel unknown = TaskModel.Open(tiny.Path, settings: settings => settings with { Prompt = "other" }))
            Assert.Contains(
                "has no prompt \"other\"; it has query, none",
                Assert.Throws<InputException>(() => Predict(unknown, tiny, "good")).Message, StringComparison.Ordinal);
        var notes = new List<Words>();
        Predict(opened, tiny, string.Concat(Enumerable.Repeat("rome ", 12)), notes);
        Assert.Contains("longer than training.max_length 7", Assert.Single(notes).In(Recipe.Wording),
            StringComparison.Ordinal);
    }

    [Fact]
    public void Adapters_and_merged_models_are_written_as_sentence_transformers_reads_them()
    {
        SaveBase(Pipeline(Pooling.MeanOfRoot));
        tiny.Rows(["""{"text": "good", "positive": "rome"}""", """{"text": "bad", "positive": "bob"}"""],
            "pairs.jsonl");
        string adapter;
        using (RecipeRun run = RecipeRun.Prepare(Recipe.Parse(
            $"{{model: '{tiny.Path}', task: embedding, data: {{train: pairs.jsonl}}, training: {{steps: 1, " +
                "batch_size: 2}, output: out}", tiny.Path)))
        {
            run.Train(new ObserverGroup([]));
            adapter = Path.Combine(run.Recipe.Output, "adapter");
        }
        string merged = Path.Combine(tiny.Path, "merged");
        float[] vector;
        using (TaskModel opened = TaskModel.Open(tiny.Path, adapter))
        {
            vector = Predict(opened, tiny, "rome")[0];
            AdapterMerge.Write(opened.Model, opened.Adapter!, merged);
        }
        using (TaskModel whole = TaskModel.Open(merged))
            foreach ((float a, float b) in vector.Zip(Predict(whole, tiny, "rome")[0])) Assert.Equal(a, b, 1e-5f);
        foreach (string folder in new[] { adapter, merged })
        {
            SentencePipeline written = SentenceFolder.Read(folder)!;
            Assert.Equal((Pooling.MeanOfRoot, 7, "query"),
                (Assert.Single(written.Modes), written.MaxLength, written.DefaultPrompt));
            Assert.IsType<DenseLayer>(Assert.Single(written.Layers));
            Assert.Equal("sentence_transformers.models.Dense",
                JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "modules.json")))![2]![
                    "type"]!.GetValue<string>());
        }
    }

    [Fact]
    public void A_length_that_is_asked_for_goes_before_the_folders_also_where_it_is_the_default()
    {
        SaveBase(SentencePipeline.Plain(8, Pooling.Mean) with { MaxLength = 4 });
        tiny.Rows(["""{"anchor": "rome", "positive": "paris"}""", """{"anchor": "tower", "positive": "good"}"""],
            "pairs.jsonl");
        RecipeRun Of(string training) =>
            RecipeRun.Prepare(
                Recipe.Parse(
                    $"{{model: '{tiny.Path}', task: embedding, data: {{train: pairs.jsonl}}, training: " +
                    $"{{{training}}}, output: out}}", tiny.Path));
        using (RecipeRun own = Of("steps: 1"))
        {
            Assert.Equal(4, own.Recipe.Training.MaxLength); // so that recipe.yaml of the run says what was done
            Assert.Contains(
                own.Notes, note =>
                note.StartsWith("training.max_length is 4, as the model's folder says", StringComparison.Ordinal));
        }
        using (RecipeRun asked = Of("steps: 1, max_length: 512"))
        {
            Assert.Equal(512, asked.Recipe.Training.MaxLength);
            Assert.Contains(
                asked.Notes, note =>
                note.StartsWith("training.max_length 512 is lowered to 16", StringComparison.Ordinal));
        }
        float[] Vector(TaskSettings given)
        {
            using TaskModel opened =
                TaskModel.Open(
                    tiny.Path, settings: settings =>
                    settings with { MaxLength = given.MaxLength, IsMaxLengthGiven = given.IsMaxLengthGiven });
            return Predict(opened, tiny, "good rome tower paris bad new")[0];
        }
        Assert.Equal(Vector(new TaskSettings()), Vector(new TaskSettings { MaxLength = 4, IsMaxLengthGiven = true }));
        Assert.NotEqual(Vector(new TaskSettings()), Vector(new TaskSettings { IsMaxLengthGiven = true }));
    }

    [Fact]
    public void An_adapter_without_a_pipeline_of_its_own_keeps_the_length_that_it_was_trained_with()
    {
        SaveBase(SentencePipeline.Plain(8, Pooling.Mean) with { MaxLength = 4 });
        string folder = Path.Combine(tiny.Path, "older");
        using (PretrainedModel model = tiny.Model("embedding", new TaskSettings()))
        using (Adapter adapter = Adapter.Create(model, new LoraConfig { TargetModules = ["query"] }, seed: 1))
        {
            adapter.Task = new AdapterTask("embedding") { Pooling = "mean", MaxLength = 7 };
            adapter.Save(folder);
        }
        int? Length(Func<TaskSettings, TaskSettings>? settings)
        {
            using TaskModel opened = TaskModel.Open(tiny.Path, folder, settings: settings);
            Assert.Empty(opened.Notes);
            return opened.Task.Describe()!.MaxLength;
        }
        Assert.Equal(7, Length(null));
        Assert.Equal(7, Length(settings => settings.WithMaxLength(null)));
        Assert.Equal(5, Length(settings => settings.WithMaxLength(5)));
    }

    [Fact]
    public void Pooling_of_the_recipe_goes_before_the_folders()
    {
        SaveBase(SentencePipeline.Plain(8, Pooling.Mean));
        float[] Of(string? pooling)
        {
            using TaskModel opened =
                TaskModel.Open(tiny.Path, settings: settings => settings with { Pooling = pooling });
            return Predict(opened, tiny, "good rome")[0];
        }
        Assert.Equal(Of(null), Of("mean"));
        Assert.NotEqual(Of("mean"), Of("lasttoken"));
    }

    [Fact]
    public void Retrieval_is_measured_among_all_partners_and_equal_ones_share_their_place()
    {
        using var scope = torch.NewDisposeScope();
        var board = new RetrievalAccumulator();
        board.Add(torch.tensor(new float[,] { { 1, 0 }, { 0, 1 }, { 0.6f, 0.8f } }),
            torch.tensor(new float[,] { { 1, 0 }, { 1, 0 }, { 0.6f, 0.8f } }));
        IReadOnlyDictionary<string, double?> metrics = board.Metrics(); // places 1, 2 and 1
        Assert.Equal(2.0 / 3, metrics["recall_at_1"]!.Value, 1e-9);
        Assert.Equal(2.5 / 3, metrics["mean_reciprocal_rank"]!.Value, 1e-9);
    }

    private static SentencePipeline Pipeline(Pooling mode) => new(8, [mode],
        [new DenseLayer(
            [.. Enumerable.Range(0, 24).Select(i => (i % 7 - 3) / 3f)], [1, 0, 1], null,
            "torch.nn.modules.activation.Tanh", 8)])
    {
        MaxLength = 7, Prompts = new Dictionary<string, string> { ["query"] = "good ", ["none"] = "" },
            DefaultPrompt = "query",
    };

    private void SaveBase(SentencePipeline pipeline)
    {
        using (PretrainedModel model = tiny.Model("embedding", new TaskSettings())) tiny.Save(model);
        SentenceFolder.Save(pipeline, tiny.Path);
    }

    private static float[][] Predict(TaskModel model, TinyTask where, string text, List<Words>? notes = null) =>
        [.. model.Task.Predict(where.Rows([new JsonObject { ["text"] = text }.ToJsonString()]), 1, notes)
            .Select(answer => answer["embedding"]!.AsArray().Select(value => value!.GetValue<float>()).ToArray())];
}
