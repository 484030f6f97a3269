using System.Diagnostics;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Data.Chat;
using LowRank.IO;

namespace LowRank.Tests.Data;

/// <summary>Chat templates in Ollama's language, against what Ollama's own program renders with them. The cases were
/// written by <c>tests/ollama/run --write</c>; with LOWRANK_OLLAMA, the program that it builds renders them anew.
/// </summary>
public sealed class OllamaTemplateTests
{
    private static readonly JsonSerializerOptions Plain =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static string Cases { get; } =
        Path.Combine(RepositoryFiles.Root, "tests", "LowRank.Tests", "Fixtures", "ollama", "templates.jsonl");

    private static string? Program => Environment.GetEnvironmentVariable("LOWRANK_OLLAMA");

    // Ways of writing that no template of the file has: the end of a turn from a variable, a line before each turn, as
    // in Zephyr's; system messages in the user's first turn and trimmed words, as in Gemma 3's; earlier thoughts left
    // out and empty ones in the last turn, as in Qwen 3's.
    private static readonly Dictionary<string, string> Further = new()
    {
        ["zephyr"] = """
            {% for m in messages %}
            {{ '<|' + m.role + '|>\n' + m.content + eos_token }}
            {% if loop.last and add_generation_prompt %}
            {{ '<|assistant|>' }}
            {% endif %}
            {% endfor %}
            """,
        ["gemma-3"] = """
            {{ bos_token }}{% set told = messages[0].content + '\n\n' if messages[0].role == 'system' else '' -%}
            {%- for m in messages if m.role != 'system' -%}
            <start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}
            {{ told if loop.first }}{{ m.content | trim }}<end_of_turn>
            {% endfor %}{% if add_generation_prompt %}<start_of_turn>model
            {% endif %}
            """,
        ["qwen3"] = """
            {%- for m in messages %}
            {%- set words = m.content.split('</think>')[-1].lstrip('\n') %}
            {{- '<|im_start|>' + m.role + '\n' }}
            {%- if m.role == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}
            {{- words + '<|im_end|>\n' }}
            {%- endfor %}
            {%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}
            """,
    };

    private static IReadOnlyDictionary<string, string> Tokens { get; } =
        new Dictionary<string, string> { ["bos_token"] = "<bos>", ["eos_token"] = "</s>" };

    // The templates as models ship them, by name, with their special tokens, on one day.
    private static Dictionary<string, (string Source, IReadOnlyDictionary<string, string> Tokens)> Templates { get; } =
        File.ReadLines(Path.Combine(
            RepositoryFiles.Root, "tests", "LowRank.Jinja.Tests", "Fixtures", "chat_templates.jsonl"))
        .Select(line => JsonNode.Parse(line)!)
        .DistinctBy(line => Name(line))
        .ToDictionary(Name, line => (
            line["template"]!.GetValue<string>().Replace(
                "strftime_now(\"%d %b %Y\")", "\"26 Jul 2024\"", StringComparison.Ordinal),
            (IReadOnlyDictionary<string, string>)line["variables"]!.AsObject()
                .Where(variable => variable.Value is not null
                    && variable.Key.EndsWith("_token", StringComparison.Ordinal))
                .ToDictionary(variable => variable.Key, variable => variable.Value!.GetValue<string>())))
        .Concat(Further.Select(template => KeyValuePair.Create(template.Key, (template.Value, Tokens))))
        .ToDictionary();

    public static TheoryData<string> Written =>
        [.. File.Exists(Cases) ? File.ReadLines(Cases).Select(line => JsonNode.Parse(line)!["name"]!.GetValue<string>())
            : []];

    [Theory, MemberData(nameof(Written))]
    public void A_template_is_translated_to_one_that_Ollama_renders_alike(string name)
    {
        JsonNode expected = File.ReadLines(Cases).Select(line => JsonNode.Parse(line)!)
            .Single(line => line["name"]!.GetValue<string>() == name);
        TurnShape? shape = TurnShape.Find(Format(name), out string reason);
        if (expected["template"] is not { } template)
        {
            Assert.Null(shape);
            Assert.Equal(expected["reason"]!.GetValue<string>(), reason);
            return;
        }
        Assert.Equal(template.GetValue<string>(), GoTemplate.Write(shape!));
        IReadOnlyList<IReadOnlyList<(string, string)>> probes = TurnShape.Probes(HasSystem(shape!));
        Assert.Equal(probes.Count, expected["rendered"]!.AsArray().Count);
        Assert.All(probes.Zip(expected["rendered"]!.AsArray()), probe =>
            Assert.Equal(probe.Second!.GetValue<string>(), Rendered(name, probe.First)));
    }

    [Fact]
    public void Every_template_has_its_case()
    {
        Assert.Equal(Templates.Keys.Order(), Written.Select(row => row.Data).Order());
        string[] translated = [.. File.ReadLines(Cases).Select(line => JsonNode.Parse(line)!)
            .Where(line => line["template"] is not null).Select(line => line["name"]!.GetValue<string>())];
        foreach (string family in (string[])["Qwen2.5", "qwen3", "Llama-3.1", "Llama-3.2", "Mistral", "gemma-2",
            "gemma-3", "Phi-3", "zephyr"])
            Assert.Contains(translated, name => name.Contains(family, StringComparison.OrdinalIgnoreCase));
    }

    // The mistakes that a translation could make: a text that differs at one turn must not go unseen.
    [Theory]
    [InlineData("{% for m in messages %}[{{ m.role }}{{ '!' if loop.index == 5 }}]{{ m.content }}{% endfor %}>")]
    [InlineData("{% for m in messages %}[{{ m.role }}]{{ m.content | upper }}{% endfor %}>")]
    [InlineData("{% for m in messages[-1:] %}[{{ m.role }}]{{ m.content }}{% endfor %}>")]
    [InlineData("{% for m in messages %}[{{ m.role }}]{{ m.content }} {{ m.content | length }}{% endfor %}>")]
    [InlineData("{% for m in messages %}[{{ m.role }}]{{ m.content | replace('\"', \"'\") }}{% endfor %}>")]
    [InlineData("{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{{ messages | length }}>")]
    [InlineData("{{ raise_exception('no') }}")]
    public void A_template_that_writes_otherwise_is_not_translated(string source) =>
        Assert.Null(TurnShape.Find(new TemplateChatFormat(
            ChatTemplate.Parse(source), new Dictionary<string, string>()), out _));

    [Fact]
    public void The_token_that_begins_every_text_is_left_out_once()
    {
        TurnShape shape = TurnShape.Find(new TemplateChatFormat(ChatTemplate.Parse(
            "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token }}[INST] {{ m.content }} [/INST]" +
            "{% else %} {{ m.content }} {{ eos_token }}{% endif %}{% endfor %}"),
            new Dictionary<string, string> { ["bos_token"] = "<s>", ["eos_token"] = "</s>" }), out _)!;
        Assert.Equal("[INST] a [/INST] b </s><s>[INST] c [/INST]",
            shape.Without("<s>").Render([("user", "a"), ("assistant", "b"), ("user", "c")]));
        Assert.Equal(SystemPlace.None, TurnShape.Find(new TemplateChatFormat(ChatTemplate.Parse(
            "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('none') }}{% endif %}" +
            "[{{ m.role }}]{{ m.content }}{% endfor %}"), new Dictionary<string, string>()), out _)!.Place);
    }

    [Fact]
    public void Ollama_renders_every_translation_as_the_template_does()
    {
        Assert.SkipWhen(Program is null, "Ollama's program is not at hand: tests/ollama/run builds it.");
        using var folder = new TemporaryFolder();
        var asked = new List<(string Name, TurnShape? Shape, string Reason)>();
        var requests = new List<string>();
        foreach (string name in Templates.Keys)
        {
            TurnShape? shape = TurnShape.Find(Format(name), out string reason);
            asked.Add((name, shape, reason));
            if (shape is null) continue;
            string place = folder[$"{requests.Count}"];
            Directory.CreateDirectory(place);
            File.WriteAllText(Path.Combine(place, "model.gguf"), "");
            File.WriteAllText(Path.Combine(place, "Modelfile"), new Modelfile().Add("FROM", "./model.gguf")
                .Add("TEMPLATE", GoTemplate.Write(shape)).Add("SYSTEM", "Be \"brief\".\nThanks # yes")
                .Add("PARAMETER stop", "<|\"x\"|>").Add("PARAMETER stop", " y\n").Add("PARAMETER temperature", "0.7")
                .ToString());
            requests.Add(JsonSerializer.Serialize(new
            {
                folder = place,
                conversations = TurnShape.Probes(HasSystem(shape)).Select(probe =>
                    probe.Select(message => new { role = message.Role, content = message.Words })),
            }));
        }
        var answers = new Queue<JsonNode>(Ask(requests));
        var lines = new List<string>();
        foreach ((string name, TurnShape? shape, string reason) in asked)
        {
            if (shape is null)
            {
                lines.Add(new JsonObject { ["name"] = name, ["reason"] = reason }.ToJsonString(Plain));
                continue;
            }
            JsonNode answer = answers.Dequeue();
            Assert.True(answer["error"] is null, $"{name}: {answer["error"]}");
            Assert.Equal(GoTemplate.Write(shape), answer["template"]!.GetValue<string>());
            Assert.Equal("Be \"brief\".\nThanks # yes", answer["system"]!.GetValue<string>());
            Assert.Equal("""{"stop":["<|\"x\"|>"," y\n"],"temperature":0.7}""",
                answer["parameters"]!.ToJsonString(Plain));
            Assert.Equal(1, answer["files"]!.GetValue<int>());
            Assert.All(TurnShape.Probes(HasSystem(shape)).Zip(answer["rendered"]!.AsArray()), probe =>
                Assert.Equal(Rendered(name, probe.First), probe.Second!.GetValue<string>()));
            lines.Add(new JsonObject
            {
                ["name"] = name, ["template"] = GoTemplate.Write(shape), ["rendered"] = answer["rendered"]!.DeepClone(),
            }.ToJsonString(Plain));
        }
        if (Environment.GetEnvironmentVariable("LOWRANK_WRITE_OLLAMA") is not null) File.WriteAllLines(Cases, lines);
    }

    private static IEnumerable<JsonNode> Ask(IReadOnlyList<string> requests)
    {
        using Process process = Process.Start(
            new ProcessStartInfo(Program!)
            {
                RedirectStandardInput = true, RedirectStandardOutput = true, UseShellExecute = false,
            })!;
        Task<string> read = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        foreach (string request in requests) process.StandardInput.WriteLine(request);
        process.StandardInput.Close();
        string answers = read.GetAwaiter().GetResult();
        process.WaitForExit();
        return answers.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!);
    }

    private static string Rendered(string name, IReadOnlyList<(string Role, string Words)> probe) =>
        Format(name).RenderPrompt(
            [.. probe.Select(message => ChatFormats.Message(message.Role, message.Words))], null);

    private static TemplateChatFormat Format(string name) =>
        new(ChatTemplate.Parse(Templates[name].Source), Templates[name].Tokens);

    private static bool HasSystem(TurnShape shape) => shape.Place != SystemPlace.None;

    private static string Name(JsonNode line) => line["name"]!.GetValue<string>().Split('/')[0];
}
