using LowRank.Adapters;
using LowRank.Adapters.Combining;
using LowRank.Adapters.Files;
using LowRank.Data.Chat;
using LowRank.Models;
using LowRank.Recipes;
using LowRank.Tasks;
using LowRank.Tests.Data;
using LowRank.Tests.Models;
using LowRank.Tokenizers;
using LowRank.Training;

namespace LowRank.Tests.Recipes;

/// <summary>Which chat template writes conversations: the recipe's, the adapter's, the model's, the one that fits the
/// row.</summary>
[Collection("alone")]
public sealed class ChatTemplateRecipeTests : IDisposable
{
    private const string Row =
        """{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}""";
    private const string Mine =
        "{% for m in messages %}({{ m.role }}){{ m.content }}{% endfor %}{% if add_generation_prompt " +
        "%}(assistant){% endif %}";
    private const string Own =
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt " +
        "%}[assistant]{% endif %}";
    private readonly TemporaryFolder folder = new();
    private readonly TinyModel tiny;

    public ChatTemplateRecipeTests()
    {
        tiny = new TinyModel(TinyModel.With(TinyModel.Llama, "vocab_size", 258));
        tiny.Save();
        File.WriteAllText(
            Path.Combine(tiny.Path, "tokenizer.json"), BytePairTrainer.Train(["a b c"], 257, ["<|end|>"]));
        File.WriteAllText(folder["rows.jsonl"], Row + "\n");
    }

    public void Dispose()
    {
        tiny.Dispose();
        folder.Dispose();
    }

    [Fact]
    public void The_recipes_template_is_learned_kept_and_used_with_the_adapter()
    {
        Give(Own);
        File.WriteAllText(folder["mine.jinja"], Mine);
        using (RecipeRun run = Prepare("data: {train: rows.jsonl, chat_template: mine.jinja}"))
        {
            Assert.Contains(
                run.Notes, note =>
                note.StartsWith(
                    "conversations are rendered by a chat template other than the model's: data.chat_template, ",
                    StringComparison.Ordinal));
            Assert.Equal(Mine, run.Tokenizer!.ChatTemplateSource);
            run.Train(new Silent());
            Assert.Contains("mine.jinja", run.Recipe.ToYaml(), StringComparison.Ordinal);
        }
        string adapter = Path.Combine(folder["out"], "adapter");
        Assert.Equal(Mine, File.ReadAllText(Path.Combine(adapter, "chat_template.jinja")));
        using (TaskModel opened = TaskModel.Open(tiny.Path, adapter))
        {
            Assert.Equal((Mine, $"the adapter's own ({adapter})"),
                (opened.Tokenizer!.ChatTemplateSource, opened.Tokenizer.ChatTemplatePlace));
            Assert.Equal("(user)a(assistant)", ChatFormats.For(opened.Tokenizer)
                .RenderPrompt([ChatFormats.Message("user", "a")], null));
        }
        // It goes with what is made of the adapter.
        LoraFolder read = LoraFolder.Load(adapter);
        AdapterCombination.Combine([(read, 0.5), (read, 0.5)], "cat", new CombineOptions()).Write(folder["combined"]);
        Assert.Equal(Mine, File.ReadAllText(Path.Combine(folder["combined"], "chat_template.jinja")));
        using (PretrainedModel model = PretrainedModel.Open(tiny.Path))
        using (Adapter merged = Adapter.Load(adapter, model))
            AdapterMerge.Write(model, merged, folder["merged"]);
        Assert.Equal(Mine, Tokenizer.Load(folder["merged"]).ChatTemplateSource);
        using RecipeRun further =
            Prepare($"data: {{train: rows.jsonl}}\ntraining: {{steps: 1, init_adapter: {adapter}}}", "further");
        Assert.Equal(Mine, further.Tokenizer!.ChatTemplateSource);
        Assert.Equal(Mine, further.Adapter!.ChatTemplates!.ByName["default"]);
    }

    [Fact]
    public void A_model_trained_whole_is_written_with_the_template()
    {
        Give(Own);
        File.WriteAllText(folder["mine.jinja"], Mine);
        using RecipeRun run = Prepare("data: {train: rows.jsonl, chat_template: mine.jinja}\nadapter: {method: full}");
        run.Train(new Silent());
        Assert.Equal(Mine, Tokenizer.Load(Path.Combine(folder["out"], "model")).ChatTemplateSource);
    }

    [Fact]
    public void A_template_of_the_models_folder_is_named()
    {
        Give(Own);
        Directory.CreateDirectory(Path.Combine(tiny.Path, "additional_chat_templates"));
        File.WriteAllText(Path.Combine(tiny.Path, "additional_chat_templates", "rag.jinja"), Mine);
        using (RecipeRun run = Prepare("data: {train: rows.jsonl, chat_template: rag}"))
            Assert.Equal(Mine, run.Tokenizer!.ChatTemplateSource);
        string said = Assert.Throws<InputException>(
            () => Prepare("data: {train: rows.jsonl, chat_template: rug}")).Message;
        Assert.Contains(
            "data.chat_template is rug, which is neither a file nor a template of ", said, StringComparison.Ordinal);
        Assert.EndsWith("the model has default, rag.", said, StringComparison.Ordinal);
    }

    [Fact]
    public void A_template_without_effect_is_said()
    {
        File.WriteAllText(folder["mine.jinja"], Mine);
        File.WriteAllText(folder["texts.jsonl"], "{\"text\": \"abc\"}\n");
        using RecipeRun run = Prepare("data: {train: texts.jsonl, chat_template: mine.jinja}");
        Assert.Contains(
            run.Notes, note =>
            note.StartsWith("data.chat_template writes nothing: no row is a conversation", StringComparison.Ordinal));
        Assert.Contains("data.chat_template has no effect with task masked_lm", Assert.Throws<InputException>(() =>
            Recipe.Parse($"model: {tiny.Path}\noutput: out\ntask: masked_lm\ndata: {{train: a, chat_template: b}}\n",
                folder.Path)).Message, StringComparison.Ordinal);
    }

    // As transformers chooses: tool_use where a row has tools.
    [Theory]
    [InlineData(
        """{"chat_template": [{"name": "default", "template": "D"}, {"name": "tool_use", "template": "T"}, {"name": "rag", "template": "R"}]}""", "tokenizer_config.json", "D", "T")]
    [InlineData("""{"chat_template": [{"name": "default", "template": "D"}, {"name": "rag", "template": "R"}]}""",
        "tokenizer_config.json", "D", "D")]
    [InlineData("""{"chat_template": "D"}""", "tokenizer_config.json", "D", "D")]
    [InlineData("""{"chat_template": "D"}""", "chat_template.json", "D", "D")]
    [InlineData("""{"chat_template": {"default": "D", "tool_use": "T"}}""", "chat_template.json", "D", "T")]
    public void Of_several_templates_the_one_that_fits_the_row_is_used(
        string text, string file, string plain, string withTools)
    {
        File.WriteAllText(Path.Combine(tiny.Path, file), text);
        IChatFormat format = ChatFormats.For(Tokenizer.Load(tiny.Path));
        System.Text.Json.Nodes.JsonArray asked = [ChatFormats.Message("user", "a")];
        Assert.Equal((plain, withTools), (format.RenderPrompt(asked, null), format.RenderPrompt(asked, [])));
        Give(Own); // files win over the configuration, as in transformers 5
        Assert.Equal("[user]a[assistant]", ChatFormats.For(Tokenizer.Load(tiny.Path)).RenderPrompt(asked, []));
    }

    [Fact]
    public void Templates_without_a_default_are_asked_about()
    {
        File.WriteAllText(
            Path.Combine(tiny.Path, "tokenizer_config.json"),
            """{"chat_template": [{"name": "rag", "template": "R"}, {"name": "tool_use", "template": "T"}]}""");
        string said = Assert.Throws<InputException>(() => Prepare("data: {train: rows.jsonl}")).Message;
        Assert.Contains(
            "several chat templates (rag, tool_use), but none named \"default\". Choose one of them " +
            "(data.chat_template)",
            said, StringComparison.Ordinal);
    }

    [Fact]
    public void Two_adapters_with_different_templates_are_told_apart()
    {
        var one = new AdapterChatTemplates("a", "the first");
        Assert.Same(one, AdapterChatTemplates.Common([null, one, new AdapterChatTemplates("a", "the second")]));
        string said = Assert.Throws<InputException>(
            () => AdapterChatTemplates.Common([one, new AdapterChatTemplates("b", "the second")])).Message;
        Assert.Contains("the first and the second", said, StringComparison.Ordinal);
    }

    [Fact]
    public void A_template_changes_what_tokenised_data_is_known_by()
    {
        Give(Own);
        Tokenizer own = Tokenizer.Load(tiny.Path),
            same = AdapterChatTemplates.LoadTokenizer(tiny.Path, null, new AdapterChatTemplates(Own, "x"), null)!;
        Tokenizer other =
            AdapterChatTemplates.LoadTokenizer(tiny.Path, null, new AdapterChatTemplates(Mine, "x"), null)!;
        Assert.NotEqual(own.Fingerprint, other.Fingerprint);
        Assert.Equal((null, "x"), (same.ChatTemplatePlace, other.ChatTemplatePlace));
        Assert.Equal(own.Encode("a b"), other.Encode("a b"));
    }

    private void Give(string template) => File.WriteAllText(Path.Combine(tiny.Path, "chat_template.jinja"), template);

    private RecipeRun Prepare(string yaml, string output = "out") =>
        RecipeRun.Prepare(
            Recipe.Parse(
                $"model: {tiny.Path}\noutput: " +
                $"{output}\n{(yaml.Contains("training:", StringComparison.Ordinal) ? ""
                    : "training: {steps: 1, threads: 1}\n")}{yaml}\n", folder.Path));

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
