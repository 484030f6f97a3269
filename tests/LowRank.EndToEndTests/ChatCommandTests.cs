namespace LowRank.EndToEndTests;

public sealed class ChatCommandTests
{
    private const string Template =
        "{{ tools | tojson if tools else '' }}{% for m in messages %}{{ m.role[0] }}: {{ m.content }}\n{% endfor " +
        "%}{% if add_generation_prompt %}a: {% endif %}";

    [Fact]
    public void A_pipe_gets_a_reply_a_turn_that_is_what_generate_makes_of_the_rendered_conversation()
    {
        using TinyModel model = Talking();
        string[] options = ["--model", model.Folder, "--max-new-tokens", "10"];
        string Continue(string text) =>
            CommandLine.Run(["generate", .. options, "--prompt", text])
            .Succeeded().Output[..^Environment.NewLine.Length];
        string first = Continue("s: kurz\nu: Grüße\na: ");
        string second = Continue($"s: kurz\nu: Grüße\na: {first}\nu: und nun?\na: ");
        CommandResult talk = CommandLine.RunWithInput(
            "Grüße\nund nun?\n/clear\nGrüße\n/exit\nnie\n", ["chat", .. options, "--system", "kurz"]).Succeeded();
        Assert.Equal(string.Concat(new[] { first, second, first }.Select(reply => reply + Environment.NewLine)),
            talk.Output);
        Assert.StartsWith("Template: the model's own.", talk.Error, StringComparison.Ordinal);
        Assert.Contains("The conversation was cleared.", talk.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("> ", talk.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void An_adapter_and_tools_change_what_is_said()
    {
        using TinyModel model = Talking();
        string[] options = ["chat", "--model", model.Folder, "--max-new-tokens", "10"];
        File.WriteAllText(model["tools.json"], """[{"type": "function", "function": {"name": "look"}}]""");
        string Say(params string[] more) =>
            CommandLine.RunWithInput("hello\n", [.. options, .. more]).Succeeded().Output;
        string plain = Say();
        Assert.NotEqual(plain, Say("--tools", model["tools.json"]));
        Assert.NotEqual(plain, Say("--adapter", Path.Combine(TinyModel.Golden, "lora")));

        File.WriteAllText(
            Path.Combine(model.Folder, "chat_template.jinja"), "{% for m in messages %}{{ m.content }}{% endfor %}");
        CommandResult unused =
            CommandLine.RunWithInput("hello\n", [.. options, "--tools", model["tools.json"]]).Succeeded();
        Assert.Contains("warning: the chat template ignores tools", unused.Error, StringComparison.Ordinal);
        File.WriteAllText(model["tools.json"], "{}");
        CommandResult wrong = CommandLine.RunWithInput("hello\n", [.. options, "--tools", model["tools.json"]]);
        Assert.Equal(2, wrong.ExitCode);
        Assert.Contains("does not hold a JSON list of tools", wrong.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_without_a_template_and_without_the_tokens_of_ChatMl_is_refused()
    {
        using var model = new TinyModel();
        CommandResult result = CommandLine.RunWithInput("hello\n", "chat", "--model", model.Folder);
        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Contains("does not know <|im_start|> and <|im_end|>", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void The_embedded_base_talks_in_ChatMl_and_a_message_beyond_its_context_fails_the_script()
    {
        string[] options = ["chat", "--model", Path.Combine("models", "base"), "--max-new-tokens", "4"];
        CommandResult talk = CommandLine.RunWithInput("hello\n", options).Succeeded();
        Assert.StartsWith("Template: ChatML", talk.Error, StringComparison.Ordinal);
        CommandResult far =
            CommandLine.RunWithInput($"{string.Concat(Enumerable.Repeat("xq ", 1500))}\nhello\n", options);
        Assert.Equal(2, far.ExitCode);
        Assert.Equal(talk.Output, far.Output);
        Assert.Matches(@"error: The conversation has \d+ tokens .* /clear", far.Error);
    }

    private static TinyModel Talking()
    {
        var model = new TinyModel();
        File.WriteAllText(Path.Combine(model.Folder, "chat_template.jinja"), Template);
        string config = Path.Combine(model.Folder, "config.json"), text = File.ReadAllText(config);
        string longer =
            text.Replace("\"max_position_embeddings\": 64", "\"max_position_embeddings\": 512",
            StringComparison.Ordinal);
        Assert.NotEqual(text, longer);
        File.WriteAllText(config, longer);
        return model;
    }
}
