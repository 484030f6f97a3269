using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Adapters.Combining;
using LowRank.Data.Rows;
using LowRank.IO;
using LowRank.Models;
using LowRank.Models.Families;
using LowRank.Quantization;
using LowRank.Recipes;
using LowRank.Tasks;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ExtensionTests;

public sealed class RegistrationTests : IDisposable
{
    private const string Config = """
        {"model_type": "parrot", "architectures": ["ParrotForCausalLM"], "vocab_size": 24, "width": 8, "heads": 2,
         "layers": 2, "places": 16}
        """;

    private readonly string folder = Directory.CreateTempSubdirectory("lowrank").FullName;

    // Once for the process, as a program does before it uses them.
    static RegistrationTests()
    {
        FamilyRegistry.Register(new ParrotFamily());
        AdapterTypes.Register(HaloType.Instance);
        // A task, and a method with its own settings, may come after the first recipe was read.
        Recipe.Parse("model: m\noutput: o\ndata: {train: t}\n", Path.GetTempPath());
        AdapterMethods.Register(new QuietMethod());
        AdapterMethods.Register(new HaloMethod());
        TaskRegistry.Register(new EchoKind());
        WeightFormats.Register(new HalfFormat());
        RowFormats.Register(".words", (content, _) => Words(content));
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void A_family_a_method_a_task_and_a_format_from_outside_are_trained_with_and_loaded()
    {
        string model = Model(weight => weight);
        File.WriteAllText(Path.Combine(folder, "rows.words"), "1 2 3 4\n5 6 7 8\n");
        Recipe recipe = Recipe.Parse($"""
            model: {model}
            output: out
            task: echo
            data:
              train: rows.words
            adapter:
              method: quiet
              target_modules: [query, value]
              method_options:
                loudness: 0.25
            training:
              steps: 3
              batch_size: 2
              threads: 1
            """, folder);
        using (RecipeRun run = RecipeRun.Prepare(recipe))
        {
            Assert.Equal("parrot", run.Model.Config.ModelType);
            Assert.Equal(0.25, Assert.IsType<LoraConfig>(run.Adapter!.Config) is var config
                ? config.Scale(config.Rank, config.Alpha.Value) : 0);
            long trained = run.TrainedParameters;
            run.Train(new Silent());
            Assert.Equal(3, QuietHooks.Updates);
            Assert.Equal(4 * 3 * 8, trained); // B of four layers
        }
        using TaskModel opened = TaskModel.Open(model, Path.Combine(folder, "out", "adapter"));
        Assert.Equal("echo", opened.Kind.Name);
        Assert.Equal(4, opened.Adapter!.Layers.Count);
        Assert.Contains(
            opened.Adapter.TrainedWeights,
            weight => weight.Key.EndsWith("lora_B.weight", StringComparison.Ordinal)
                && weight.Value.abs().sum().item<float>() > 0);
        Assert.Equal(
            [4, 4, 4, 4],
            opened.Task.Predict(RowSource.From([Path.Combine(folder, "rows.words")]), 2)
                .Select(row => (int)row["tokens"]!));
    }

    [Fact]
    public void A_type_of_adapter_from_outside_is_made_saved_and_loaded_as_its_own_record()
    {
        string model = Path.Combine(folder, "parrot");
        Directory.CreateDirectory(model);
        File.WriteAllText(Path.Combine(model, "config.json"), Config);
        using PretrainedModel drawn = PretrainedModel.FromScratch(model, seed: 1);
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor ids = tensor(new long[,] { { 1, 2, 3 } });
        Tensor before = drawn.Decoder.Forward(ids), after;
        using (Adapter made = Adapter.Create(
            drawn, new HaloConfig { TargetModules = ["query"], Glow = 0.75 }, seed: 1))
        {
            Assert.Equal(2, made.Layers.Count);
            made.Attach();
            after = drawn.Decoder.Forward(ids);
            Assert.False(after.allclose(before));
            made.Save(Path.Combine(folder, "halo"));
        }
        Assert.Equal(0.75, Assert.IsType<HaloConfig>(AdapterConfig.Load(Path.Combine(folder, "halo"))).Glow);
        using Adapter read = Adapter.Load(Path.Combine(folder, "halo"), drawn);
        read.Attach();
        Assert.True(drawn.Decoder.Forward(ids).allclose(after, 0, 0));
        Assert.Equal(0.25, ((HaloConfig)AdapterConfig.Parse("""{"peft_type": "HALO"}""")).Glow);
        Assert.Contains("glow: expected at least 0", Assert.Throws<InputException>(
            () => new HaloConfig { Glow = -1 }.ToJson()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_record_of_a_method_from_outside_is_all_that_an_adaptation_needs()
    {
        CancellationToken token = TestContext.Current.CancellationToken;
        await using LanguageModel model = await LanguageModel.LoadAsync(
            Model(weight => weight), new LanguageModelOptions { Threads = 1 }, null, token);
        Dataset rows = Dataset.From(Enumerable.Range(1, 4).Select(
            first => new { InputIds = new[] { first, 2, 3 }, Labels = new[] { first, 2, 3 } }));
        TrainingOptions training = new() { Task = new TaskOptions("echo"), Steps = 3, BatchSize = 2 };
        AdaptationResult result = await model.AdaptAsync(
            rows, new HaloConfig { TargetModules = ["query", "value"], Glow = 0.75 }, training, null, token);
        Assert.Equal(3, result.Losses.Count);
        Assert.Equal("echo", result.Adapter.Task);
        await result.Adapter.SaveAsync(Path.Combine(folder, "saved"), token);
        HaloConfig saved = Assert.IsType<HaloConfig>(AdapterConfig.Load(Path.Combine(folder, "saved")));
        Assert.Equal(0.75, saved.Glow);
        // What was saved is a record to adapt with, too.
        AdaptationResult again = await model.AdaptAsync(rows, saved, training, null, token);
        Assert.Equal(result.Losses, again.Losses);

        InputException refused = await Assert.ThrowsAsync<InputException>(() => model.AdaptAsync(
            rows, new HaloConfig { Glow = double.NaN }, training with { Steps = 0 }, null, token));
        foreach (string part in new[] { "HaloConfig.Glow is NaN", "TrainingOptions.Steps is 0" })
            Assert.Contains(part, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_weight_format_from_outside_holds_a_frozen_base_that_is_trained_on()
    {
        string model = Model(weight => weight.half().to(float32));
        File.WriteAllText(Path.Combine(folder, "rows.words"), "1 2 3 4\n5 6 7 8\n");
        // Values that half precision holds: the packed base is the float32 one, to the last digit.
        float[] losses = [Loss("float32"), Loss("half")];
        Assert.Equal(losses[0], losses[1], 1e-6f);

        float Loss(string format)
        {
            using RecipeRun run = RecipeRun.Prepare(Recipe.Parse($"""
                model: {model}
                base_dtype: {format}
                output: {format}
                data:
                  train: rows.words
                adapter:
                  rank: 2
                  target_modules: [query, value]
                training:
                  steps: 2
                  batch_size: 2
                  threads: 1
                """, folder));
            Assert.Equal(format == "half" ? 12 : 0, run.Model.Network.PackedWeights.Count);
            return (float)run.Train(new Silent()).LastLoss!.Value;
        }
    }

    [Fact]
    public void A_name_that_is_taken_or_means_something_else_is_refused()
    {
        void Refused(Action register, string expected) => Assert.Contains(
            expected, Assert.Throws<ArgumentException>(register).Message, StringComparison.Ordinal);
        Refused(() => FamilyRegistry.Register(new ParrotFamily()),
            "The model family \"parrot\" is there already: LowRank.ExtensionTests.ParrotFamily.");
        Refused(() => FamilyRegistry.Register(FamilyRegistry.Get("llama")),
            "The model family \"llama\" is there already: LowRank.Models.Families.Llama, which comes with LowRank " +
            "and cannot be replaced.");
        Refused(() => TaskRegistry.Register(new EchoKind()), "The task \"echo\" is there already");
        Refused(() => AdapterMethods.Register(AdapterMethods.Get("lora")),
            "The adapter method \"lora\" is there already");
        Refused(() => RowFormats.Register(".csv", (_, _) => []), "\".csv\" is there already");
        Refused(() => RowFormats.Register(".gz", (_, _) => []), "the word means something else there");
        Refused(() => RowFormats.Register("csv", (_, _) => []), "not a lower-case file extension");
    }

    [Fact]
    public void Threads_may_register_at_once()
    {
        Parallel.For(0, 64, number => AdapterCombination.Register(new Middle($"middle{number}")));
        Assert.All(
            Enumerable.Range(0, 64), number => Assert.Contains($"middle{number}_svd", AdapterCombination.Kinds));
        Assert.Throws<ArgumentException>(() => AdapterCombination.Register(new Middle("cat")));
        Assert.Throws<ArgumentException>(() => AdapterCombination.Register(new Middle("middle_svd")));
    }

    private string Model(Func<Tensor, Tensor> change)
    {
        string model = Path.Combine(folder, "parrot");
        Directory.CreateDirectory(model);
        File.WriteAllText(Path.Combine(model, "config.json"), Config);
        using PretrainedModel drawn = PretrainedModel.FromScratch(model, seed: 1);
        SafeTensorsWriter.Write(
            Path.Combine(model, "model.safetensors"),
            [.. drawn.Network.Parameters.Select(
                weight => KeyValuePair.Create(weight.Key, change(weight.Value.detach())))]);
        return model;
    }

    private static IEnumerable<JsonObject> Words(Stream content)
    {
        using var reader = new StreamReader(content);
        while (reader.ReadLine() is { } line)
        {
            JsonNode?[] numbers = [.. line.Split(' ').Select(word => (JsonNode?)int.Parse(word))];
            yield return new JsonObject
            {
                ["input_ids"] = new JsonArray(numbers),
                ["labels"] = new JsonArray([.. numbers.Select(number => number!.DeepClone())]),
            };
        }
    }

    private sealed class Middle(string name) : ITensorMerge
    {
        public string Name => name;

        public bool Prunes => false;

        public Tensor Merge(
            IReadOnlyList<Tensor> tensors, IReadOnlyList<double> weights, CombineOptions options) =>
            tensors[tensors.Count / 2];
    }

    private sealed class Silent : ITrainingObserver
    {
        public void Started(TrainingPlan plan)
        {
        }

        public void Stepped(TrainingStep step)
        {
        }

        public void Evaluated(EvaluationResult evaluation)
        {
        }

        public void Finished(TrainingResult result)
        {
        }
    }
}
