using System.Text.Json;

namespace LowRank.EndToEndTests;

/// <summary><c>lowrank export ollama</c>: the folder from which Ollama makes a model.</summary>
public sealed class OllamaCommandTests
{
    private const string Template =
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}" +
        "{% if add_generation_prompt %}<assistant>{% endif %}";

    private static readonly string Adapter = Path.Combine(TinyModel.Golden, "lora");

    [Fact]
    public void A_folder_has_the_model_its_template_its_parameters_and_its_licence()
    {
        using var tiny = new TinyModel();
        Chat(tiny);
        CommandResult run = CommandLine.Run("export", "ollama", "--model", tiny.Folder, "--adapter", Adapter, "--type",
            "q8_0", "--system", "Be \"brief\".", "--output", tiny["out"]).Succeeded();
        Assert.Contains("ollama create NAME -f", run.Output, StringComparison.Ordinal);
        Assert.Equal(["LICENSE", "Modelfile", "model.gguf"], Files(tiny["out"]));
        Assert.Equal(""""
            # ollama create NAME -f Modelfile
            FROM ./model.gguf
            TEMPLATE """{{ range .Messages }}{{ if eq .Role "system" }}<system>{{ .Content }}</s>{{ else if eq .Role "user" }}<user>{{ .Content }}</s>{{ else if eq .Role "assistant" }}<assistant>{{ .Content }}</s>{{ end }}{{ end }}<assistant>"""
            SYSTEM """Be "brief"."""
            PARAMETER num_ctx 64
            PARAMETER temperature 0.25
            PARAMETER top_k 7
            PARAMETER repeat_penalty 1.5
            PARAMETER stop </s>
            LICENSE """Free.
            For all."""

            """", File.ReadAllText(Path.Combine(tiny["out"], "Modelfile")).ReplaceLineEndings("\n"));
        CommandLine.RunWith(new Dictionary<string, string> { ["XDG_CACHE_HOME"] = tiny["cache"] }, "generate",
            "--model", Path.Combine(tiny["out"], "model.gguf"), "--prompt", "a b", "--max-new-tokens", "2")
            .Succeeded();
    }

    [Fact]
    public void An_adapter_stays_in_a_file_of_its_own_and_the_base_alone_continues_texts()
    {
        using var tiny = new TinyModel();
        WriteTokenizer(tiny);
        CommandResult run = CommandLine.Run("export", "ollama", "--model", tiny.Folder, "--adapter", Adapter,
            "--separate", "--num-ctx", "32", "--output", tiny["out"]).Succeeded();
        Assert.Contains("There is no chat template", run.Error, StringComparison.Ordinal);
        Assert.Equal(["Modelfile", "adapter.gguf", "model.gguf"], Files(tiny["out"]));
        string text = File.ReadAllText(Path.Combine(tiny["out"], "Modelfile"));
        Assert.Contains("\nADAPTER ./adapter.gguf\nTEMPLATE {{ .Prompt }}\nPARAMETER num_ctx 32\n", text,
            StringComparison.Ordinal);
        CommandLine.Run("convert", Path.Combine(tiny["out"], "adapter.gguf"), "--to", "peft", "--model", tiny.Folder,
            "--output", tiny["back"]).Succeeded();
    }

    [Fact]
    public void A_template_that_cannot_be_translated_is_refused_unless_another_is_given()
    {
        using var tiny = new TinyModel();
        Chat(tiny, "{% for m in messages %}{{ loop.index }} {{ m.content }}{% endfor %}");
        CommandResult refused =
            CommandLine.Run("export", "ollama", "--model", tiny.Folder, "--output", tiny["out"]);
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("cannot be translated to Ollama's language: it does not write every turn in the same way",
            refused.Error, StringComparison.Ordinal);
        Assert.Contains("(--template)", refused.Error, StringComparison.Ordinal);
        Assert.Contains("('lowrank serve')", refused.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(tiny["out"]));
        File.WriteAllText(tiny["own.gotmpl"], "{{ range .Messages }}{{ .Content }}\n{{ end }}");
        CommandLine.Run("export", "ollama", "--model", tiny.Folder, "--template", tiny["own.gotmpl"], "--type", "f16",
            "--output", tiny["out"]).Succeeded();
        Assert.Contains("TEMPLATE \"\"\"{{ range .Messages }}{{ .Content }}\n{{ end }}\"\"\"\n",
            File.ReadAllText(Path.Combine(tiny["out"], "Modelfile")), StringComparison.Ordinal);

        CommandResult several = CommandLine.Run("export", "ollama", "--model", tiny.Folder, "--adapter",
            Adapter + ":0.5", "--separate", "--device", "cpu", "--output", tiny["other"]);
        Assert.Equal(2, several.ExitCode);
        Assert.Contains("--separate needs one adapter without a weight", several.Error, StringComparison.Ordinal);
        Assert.Contains("--device has no effect: nothing is merged", several.Error, StringComparison.Ordinal);
    }

    // With a chat template, settings of generation and a licence.
    private static void Chat(TinyModel tiny, string template = Template)
    {
        WriteTokenizer(tiny);
        File.WriteAllText(Path.Combine(tiny.Folder, "chat_template.jinja"), template);
        File.WriteAllText(Path.Combine(tiny.Folder, "generation_config.json"),
            """{"max_length": 64, "temperature": 0.25, "top_k": 7, "repetition_penalty": 1.5}""");
        File.WriteAllText(Path.Combine(tiny.Folder, "LICENSE"), "Free.\nFor all.");
    }

    // Single characters, as sentencepiece has them: llama.cpp does not know splits of other tokenizers.
    private static void WriteTokenizer(TinyModel tiny)
    {
        string[] tokens = ["<unk>", "<s>", "</s>", "▁", .. Enumerable.Range('!', 94).Select(code => $"{(char)code}")];
        File.WriteAllText(Path.Combine(tiny.Folder, "tokenizer.json"), JsonSerializer.Serialize(new
        {
            version = "1.0",
            added_tokens = tokens.Take(3).Select((token, id) => new
            {
                id, content = token, special = true, normalized = false, single_word = false, lstrip = false,
                rstrip = false,
            }),
            normalizer = new { type = "Replace", pattern = new { String = " " }, content = "▁" },
            model = new
            {
                type = "BPE", unk_token = "<unk>", fuse_unk = true, merges = Array.Empty<string>(),
                vocab = tokens.Index().ToDictionary(token => token.Item, token => token.Index),
            },
        }));
    }

    private static IEnumerable<string> Files(string folder) =>
        Directory.GetFiles(folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal);
}
