using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Data.Chat;
using LowRank.Data.Packing;
using LowRank.Data.Rows;
using LowRank.Data.Streaming;

namespace LowRank.Tests.Data;

/// <summary>Conversations in a template that drops the thoughts of earlier turns, as those of Qwen3 and its relatives
/// do: every turn is learned after what the model is shown before it, and as the model is to write it.</summary>
public sealed class ThinkingConversationTests
{
    private const string Two = """
        {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "<think>\na\n</think>\n\nhello"},
         {"role": "user", "content": "bye"}, {"role": "assistant", "content": "<think>\nb\n</think>\n\nso long"}]}
        """;
    private const string Hi = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n",
        Bye = "hello<|im_end|>\n<|im_start|>user\nbye<|im_end|>\n<|im_start|>assistant\n";
    private const string First = "<think>\na\n</think>\n\nhello<|im_end|>\n",
        Second = "<think>\nb\n</think>\n\nso long<|im_end|>\n";

    [Fact]
    public void Each_turn_is_learned_in_its_own_rendering()
    {
        LoadedExamples loaded = Load(Two);
        Assert.Equal([(Hi + First, First), (Hi + Bye + Second, Second)], loaded.Examples.Select(Shown));
        Assert.Equal((2, 2), (loaded.Examples.Count, loaded.Examples.Count(example => example.Place!.Value.Line == 1)));
        Assert.Contains(
            "1 conversation was split into 2 examples", Assert.Single(loaded.Notes).ToString(),
            StringComparison.Ordinal);
    }

    [Fact]
    public void Turns_without_thoughts_are_learned_as_the_template_writes_the_last_one()
    {
        const string none = "<think>\n\n</think>\n\n";
        LoadedExamples loaded =
            Load(Two.Replace("<think>\\na\\n</think>\\n\\n", "", StringComparison.Ordinal)
            .Replace("<think>\\nb\\n</think>\\n\\n", "", StringComparison.Ordinal));
        Assert.Equal(
            [(Hi + none + "hello<|im_end|>\n", none + "hello<|im_end|>\n"),
            (Hi + Bye + none + "so long<|im_end|>\n", none + "so long<|im_end|>\n")], loaded.Examples.Select(Shown));
    }

    [Fact]
    public void Turns_that_the_template_leaves_as_they_were_share_one_text()
    {
        // Between the user's messages thoughts stay: calls and their results.
        LoadedExamples loaded = Load("""
            {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "<think>\na\n</think>\n\nlook"}, {"role": "tool", "content": "3"},
             {"role": "assistant", "content": "<think>\nb\n</think>\n\nthree"}]}
            """);
        const string look = "<think>\na\n</think>\n\nlook<|im_end|>\n",
            three = "<think>\nb\n</think>\n\nthree<|im_end|>\n";
        Assert.Equal([(Hi + look + "<|im_start|>tool\n3<|im_end|>\n<|im_start|>assistant\n" + three, look + three)],
            loaded.Examples.Select(Shown));
        Assert.Empty(loaded.Notes);
    }

    [Fact]
    public void What_follows_the_last_turn_does_not_change_what_is_learned_of_it()
    {
        LoadedExamples loaded =
            Load(Two.Replace("]}", ", {\"role\": \"user\", \"content\": \"wait\"}]}", StringComparison.Ordinal));
        Assert.Equal([First, Second], loaded.Examples.Select(example => Shown(example).Learned));
        Assert.DoesNotContain(
            loaded.Examples, example => Shown(example).Text.Contains("wait", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("\"content\": \"<think>\\na", "\"weight\": 0, \"content\": \"<think>\\na", Second)]
    [InlineData("\"content\": \"<think>\\nb", "\"weight\": 0, \"content\": \"<think>\\nb", First)]
    public void Turns_of_weight_0_need_no_rendering(string turn, string weighted, string expected)
    {
        LoadedExamples loaded = Load(Two.Replace(turn, weighted, StringComparison.Ordinal));
        Assert.Equal(expected, Shown(Assert.Single(loaded.Examples)).Learned);
    }

    [Fact]
    public void The_completion_of_a_conversational_prompt_is_learned_alone()
    {
        string row = Two.Replace("\"messages\"", "\"prompt\"", StringComparison.Ordinal)
            .Replace(", {\"role\": \"assistant\", \"content\": \"<think>\\nb",
            "], \"completion\": [{\"role\": \"assistant\", \"content\": \"<think>\\nb", StringComparison.Ordinal);
        Assert.Contains("completion", row, StringComparison.Ordinal);
        Assert.Equal((Hi + Bye + Second, Second), Shown(Assert.Single(Load(row).Examples)));
    }

    [Fact]
    public void All_tokens_are_those_of_the_whole_conversation()
    {
        TokenizedExample example = Assert.Single(Load(Two, TrainOn.All).Examples);
        Assert.Equal((Hi + Bye + Second, Hi + Bye + Second), Shown(example));
    }

    [Fact]
    public void Parts_of_a_conversation_compute_their_equal_beginnings_once()
    {
        IReadOnlyList<TokenizedExample> parts = Load(Two).Examples;
        int shared = Tokenizer().Encode(Hi, addSpecialTokens: false).Length;
        Assert.Equal(PackedRows.Count(parts, shares: false) - shared, PackedRows.Count(parts, shares: true));
    }

    [Fact]
    public void A_stream_gives_the_parts_one_after_the_other_and_goes_on_anywhere()
    {
        using var file = new TemporaryFile(
            [.. Enumerable.Range(0, 200)
            .Select(i => Two.ReplaceLineEndings(" ").Replace("hi", $"hi {i}", StringComparison.Ordinal))]);
        string marks = file.Path + ".marks";
        try
        {
            using StreamedExamples whole = Stream(file.Path);
            whole.KeepMarks(marks);
            string[] all = [.. whole.Select(Text)];
            Assert.Equal(900, all.Length);
            Assert.Equal(400, all.Take(400).Distinct().Count());
            using StreamedExamples loaded = Stream(file.Path), marked = Stream(file.Path);
            marked.KeepMarks(marks);
            foreach (int start in new[] { 3, 258, 257, 700, 1 })
            {
                Assert.Equal(all[start], Text(loaded[start]));
                Assert.Equal(all[start], Text(marked[start]));
            }
            Assert.True(File.ReadAllLines(marks).Length > 3);
        }
        finally
        {
            File.Delete(marks);
        }
    }

    private static StreamedExamples Stream(string path) =>
        new([RowSource.From([path])], Tokenizer(), new ExampleOptions(),
            new StreamOptions { Buffer = 20, Seed = 3 }, 900);

    private static string Text(IExample example) => Shown((TokenizedExample)example).Text;

    private static (string Text, string Learned) Shown(TokenizedExample example) =>
        (Tokenizer().Decode(example.InputIds),
        Tokenizer().Decode([.. example.Labels.Where(label => label != TokenizedExample.Ignored)]));

    private static LoadedExamples Load(string row, TrainOn trainOn = TrainOn.Completion)
    {
        using var file = new TemporaryFile(row.ReplaceLineEndings(" "));
        return ExampleLoader.Load([file.Path], Tokenizer(), new ExampleOptions { TrainOn = trainOn });
    }

    private static ByteTokenizer Tokenizer() => new() { ChatTemplateSource = ChatFixture.Read("thinking.jinja") };
}

/// <summary>Templates under <c>Fixtures/chat</c>.</summary>
internal static class ChatFixture
{
    public static string Read(string name) =>
        File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Fixtures", "chat", name));

    /// <summary>Templates as models ship them, by name.</summary>
    public static IReadOnlyDictionary<string, string> Shipped { get; } = Read("chat_templates.jsonl")
        .Split('\n', StringSplitOptions.RemoveEmptyEntries)
        .Select(line => JsonNode.Parse(line)!)
        .GroupBy(line => line["name"]!.GetValue<string>().Split('/')[0])
        .ToDictionary(group => group.Key, group => group.First()["template"]!.GetValue<string>());

    /// <summary>The format of a template as a model ships it, or of one of the fixtures.</summary>
    public static IChatWriter Writer(string name) => ChatFormats.Writer(Tokenizer(name));

    /// <summary>A tokenizer with a template.</summary>
    public static ByteTokenizer Tokenizer(string name) =>
        new() { ChatTemplateSource = name.EndsWith(".jinja", StringComparison.Ordinal) ? Read(name) : Shipped[name] };
}
