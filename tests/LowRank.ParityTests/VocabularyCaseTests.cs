using LowRank.Adapters;
using LowRank.IO;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Adapters on a base with added tokens against PEFT (Reference/make_vocabulary_cases.py).</summary>
public sealed class VocabularyCaseTests
{
    private const double Tolerance = 1e-4; // absolute, on float32 logits

    public static TheoryData<string, string> Cases => new()
    {
        { "added_tokens_untied", "qwen2" }, { "added_tokens_tied", "gpt2" }, { "added_tokens_whole", "qwen2" },
            { "added_tokens_pair", "qwen2" },
        { "added_tokens_resting", "qwen2" },
    };

    private static string Folder(string name) =>
        Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens", "methods", name);

    private static string Base(string family) => Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens", family);

    [Theory, MemberData(nameof(Cases))]
    public void Logits_equal_the_reference_attached_saved_again_and_merged(string name, string family)
    {
        using var scope = NewDisposeScope();
        using SafeTensorsFile io = SafeTensorsFile.Open(Path.Combine(Folder(name), "io.safetensors"));
        using var folder = new TemporaryFolder();
        Assert.Equal(259, AdapterVocabulary.RowsFor(Folder(name)));
        using (PretrainedModel model = PretrainedModel.Open(Base(family), vocabulary: 259))
        using (Adapter adapter = Adapter.Load(Folder(name), model))
        {
            Tensor alone = Logits(model, io);
            adapter.Attach();
            Assert.InRange(
                Golden.LargestDeviation(Kept(Logits(model, io), name), Kept(io.Map("logits"), name)), 0, Tolerance);
            adapter.Save(folder["again"]);
            AdapterMerge.Write(model, adapter, folder["merged"]);
            adapter.Merge();
            Assert.InRange(Golden.LargestDeviation(Kept(Logits(model, io), name), Kept(io.Map("logits.merged"), name)),
                0, Tolerance);
            adapter.Unmerge();
            Assert.InRange(Golden.LargestDeviation(Logits(model, io), alone), 0, 1e-5);
        }
        using (PretrainedModel again = PretrainedModel.Open(
            Base(family), vocabulary: AdapterVocabulary.RowsFor(folder["again"])))
        using (Adapter adapter = Adapter.Load(folder["again"], again))
        {
            adapter.Attach();
            Assert.InRange(
                Golden.LargestDeviation(Kept(Logits(again, io), name), Kept(io.Map("logits"), name)), 0, Tolerance);
        }
        using PretrainedModel merged = PretrainedModel.Open(folder["merged"]);
        Assert.Equal(259, merged.Network.VocabularySize);
        Assert.InRange(Golden.LargestDeviation(Kept(Logits(merged, io), name), Kept(io.Map("logits.merged"), name)),
            0, Tolerance);
    }

    [Theory, MemberData(nameof(Cases))]
    public void A_base_without_the_added_rows_is_refused_with_what_to_do(string name, string family)
    {
        using PretrainedModel model = PretrainedModel.Open(Base(family));
        Assert.Contains(
            "259 tokens in the vocabulary",
            Assert.Throws<InputException>(() => Adapter.Load(Folder(name), model)).Message, StringComparison.Ordinal);
    }

    [Theory, InlineData("qwen2"), InlineData("gpt2"), InlineData("bert_masked_lm"), InlineData("t5")]
    public void Added_rows_begin_as_the_mean_and_change_nothing_else(string family)
    {
        using var scope = NewDisposeScope();
        using PretrainedModel plain = PretrainedModel.Open(Base(family)),
            wide = PretrainedModel.Open(Base(family), vocabulary: plain.Network.VocabularySize + 2);
        int rows = plain.Network.VocabularySize;
        Assert.Equal((rows + 2, rows), (wide.Network.VocabularySize, wide.StoredVocabulary));
        foreach ((string name, Tensor before) in plain.Network.Parameters)
        {
            Tensor after = wide.Network.Parameters[name];
            if (after.shape[0] != before.shape[0])
            {
                Assert.InRange(
                    Golden.LargestDeviation(
                        after.narrow(0, rows, 2), before.mean([0L], keepdim: true).expand_as(after.narrow(0, rows, 2))),
                        0, 1e-6);
                after = after.narrow(0, 0, rows);
            }
            Assert.Equal(0, Golden.LargestDeviation(after, before));
        }
        Assert.True(wide.Network.TokenEmbedding.Weight.shape[0] == rows + 2);
    }

    [Fact]
    public void New_tokens_are_trained_in_a_head_of_its_own_too_and_not_twice()
    {
        using var folder = new TemporaryFolder();
        string given = WithTokenizer(folder["model"], "qwen2");
        AdapterVocabulary vocabulary = AdapterVocabulary.Extend(given, ["<one>", "<two>"]);
        Assert.Equal((259, 2), (vocabulary.Rows, vocabulary.NewIds.Count));
        Assert.Equal([257, 258], vocabulary.NewIds); // behind the tokenizer's 257, of which the model has 256
        using PretrainedModel model = PretrainedModel.Open(given, vocabulary: vocabulary.Rows);
        LoraConfig both =
            vocabulary.Train(new LoraConfig { TargetModules = ModuleSelection.Create("q_proj") }, model.Network);
        Assert.Equal([("embed_tokens", "257 258"), ("lm_head", "257 258")],
            both.TrainedTokens!.Select(table => (table.Key!, string.Join(' ', table.Value))));
        LoraConfig half = vocabulary.Train(
            new LoraConfig { TargetModules = ModuleSelection.Create("q_proj"), ModulesToSave = ["lm_head"],
            TrainableTokenIndices = [new(null, [3])] }, model.Network);
        Assert.Equal([((string?)null, "3 257 258")],
            half.TrainedTokens!.Select(table => (table.Key, string.Join(' ', table.Value))));
        LoraConfig whole =
            new() { TargetModules = ModuleSelection.Create("q_proj"), ModulesToSave = ["lm_head", "embed_tokens"] };
        Assert.Null(vocabulary.Train(whole, model.Network).TrainedTokens);
        Assert.Contains("model.embed_tokens", Assert.Throws<InputException>(() =>
            vocabulary.Train(
                new LoraConfig { TargetModules = ModuleSelection.Create("q_proj", "embed_tokens") },
                model.Network)).Problems);
    }

    [Fact]
    public void A_tied_head_that_is_named_follows_the_embedding_or_is_refused()
    {
        using var golden = new Golden("gpt2");
        LoraConfig Named(params int[] head) =>
            new() { TargetModules = ModuleSelection.Create("c_attn"),
            TrainableTokenIndices = [new("wte", [1, 2]), new("lm_head", head)] };
        using (Adapter adapter = Adapter.Create(golden.Model, Named(1, 2), 1))
            Assert.Single(adapter.Weights, weight => weight.Key.Contains("token_adapter", StringComparison.Ordinal));
        Assert.Contains(
            "the head follows it",
            Assert.Throws<InputException>(() => Adapter.Create(golden.Model, Named(1), 1)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Trained_rows_of_a_masked_language_models_head_keep_its_bias()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using PretrainedModel model = PretrainedModel.Open(Base("bert_masked_lm"));
        var config = new LoraConfig { TargetModules = ModuleSelection.Create("query"),
            TrainableTokenIndices = [new(null, [3, 4])] };
        using Adapter adapter = Adapter.Create(model, config, 1);
        ModelInput input = new(tensor(new long[] { 1, 3, 4, 5 }).view(1, -1));
        Tensor before = model.Sequence.Scores(input);
        adapter.Attach(); // the rows begin as the base's
        Assert.InRange(Golden.LargestDeviation(model.Sequence.Scores(input), before), 0, 1e-5);
        using (no_grad())
            adapter.Weights.Single(
                weight => weight.Key.Contains("token_adapter", StringComparison.Ordinal)).Value.add_(
                Number(0.5f), Number(1));
        Tensor after = model.Sequence.Scores(input);
        Assert.True(Golden.LargestDeviation(after, before) > 0.1);
        AdapterMerge.Write(model, adapter, folder["merged"]);
        using PretrainedModel merged = PretrainedModel.Open(folder["merged"]);
        Assert.InRange(Golden.LargestDeviation(merged.Sequence.Scores(input), after), 0, Tolerance);
    }

    private static Tensor Logits(PretrainedModel model, SafeTensorsFile io) =>
        model.Decoder.Forward(io.Map("input_ids"), io.Map("attention_mask"));

    // PEFT does not save the head's added rows where the embedding alone is a target: what they score is drawn anew at
    // each resizing.
    private static Tensor Kept(Tensor logits, string name) => name == "added_tokens_pair"
        ? logits.narrow(-1, 0, 256) : logits;

    private static string WithTokenizer(string target, string family)
    {
        Directory.CreateDirectory(target);
        foreach (string file in new[] { "config.json", "model.safetensors" })
            File.Copy(Path.Combine(Base(family), file), Path.Combine(target, file));
        File.WriteAllText(
            Path.Combine(target, "tokenizer.json"),
            LowRank.Tokenizers.BytePairTrainer.Train(["a b c"], 257, ["<end>"]));
        return target;
    }
}
