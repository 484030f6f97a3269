using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Data.Chat;
using LowRank.Generation;
using LowRank.Tasks;

namespace LowRank.Tests.Generation;

public sealed class ConversationTests
{
    private static readonly GenerationOptions Greedy = new() { MaxNewTokens = 8 };

    [Fact]
    public void Every_turn_answers_the_whole_conversation()
    {
        using var model = new TalkingModel();
        using Conversation talk = model.Talk();
        talk.System = "be kind";
        string text = "<|im_start|>system\nbe kind<|im_end|>\n";
        for (int turn = 0; turn < 3; turn++)
        {
            string said = $"turn {turn}";
            text += $"<|im_start|>user\n{said}<|im_end|>\n<|im_start|>assistant\n";
            int[] prompt = model.Tokenizer.Encode(text);
            var heard = new List<string>();
            ChatReply reply = talk.Reply(said, Greedy, heard.Add);
            Assert.Equal(model.Generator.Generate([prompt], Greedy)[0], reply.Tokens);
            Assert.Equal(model.Tokenizer.Decode(reply.Tokens, skipSpecialTokens: true), reply.Text);
            Assert.Equal(reply.Text, string.Concat(heard));
            Assert.Equal((prompt.Length, StopReason.Length), (reply.PromptTokens, reply.End));
            Assert.Equal(turn > 0, reply.ReusedTokens > 0);
            text += reply.Text + "<|im_end|>\n";
        }
        Assert.Equal(6, talk.Turns);
    }

    [Fact]
    public void Clearing_forgets_the_turns_and_keeps_the_system_message()
    {
        using var model = new TalkingModel();
        using Conversation talk = model.Talk();
        talk.System = "x";
        ChatReply first = talk.Reply("a", Greedy);
        Assert.NotEqual(first.PromptTokens, talk.Reply("a", Greedy).PromptTokens);
        talk.Clear();
        Assert.Equal(0, talk.Turns);
        ChatReply again = talk.Reply("a", Greedy);
        Assert.Equal((first.Text, first.PromptTokens, 0), (again.Text, again.PromptTokens, again.ReusedTokens));
        talk.Clear();
        talk.System = null;
        Assert.Equal(first.PromptTokens - "system\nx\n".Length - 2, talk.Reply("a", Greedy).PromptTokens);
    }

    [Fact]
    public void A_conversation_beyond_the_context_is_refused_and_stays_as_it_was()
    {
        using var model = new TalkingModel(maxPositions: 60);
        using Conversation talk = model.Talk();
        ChatReply first = talk.Reply("abc", Greedy with { MaxNewTokens = 4 });
        string message = Assert.Throws<InputException>(() => talk.Reply(new string('x', 60), Greedy)).Message;
        Assert.Matches(
            @"^The conversation has \d+ tokens with this message; the model's context holds 60, including the reply\. .*a new conversation", message);
        Assert.Equal(2, talk.Turns);
        talk.Clear();
        Assert.Equal(first.Text, talk.Reply("abc", Greedy with { MaxNewTokens = 4 }).Text);
        talk.Clear();
        ChatReply filling = talk.Reply("abc", Greedy with { MaxNewTokens = 1000 });
        Assert.Equal((StopReason.Context, 60), (filling.End, filling.PromptTokens + filling.Tokens.Count));
    }

    [Fact]
    public void A_reply_ends_at_a_stop_token_or_when_it_is_cancelled()
    {
        using var model = new TalkingModel();
        using Conversation talk = model.Talk();
        ChatReply free = talk.Reply("hello", Greedy);
        talk.Clear();
        int stop = free.Tokens[3];
        ChatReply stopped = talk.Reply("hello", Greedy with { StopTokenIds = [stop] });
        Assert.Equal(free.Tokens.TakeWhile(token => token != stop), stopped.Tokens);
        Assert.Equal(StopReason.Stop, stopped.End);
        talk.Clear();
        using var cancellation = new CancellationTokenSource();
        cancellation.Cancel();
        ChatReply cancelled = talk.Reply("hello", Greedy, null, cancellation.Token);
        Assert.Equal((1, StopReason.Cancelled, 2), (cancelled.Tokens.Count, cancelled.End, talk.Turns));
    }

    [Fact]
    public void Tools_reach_the_template_and_what_it_refuses_is_not_kept()
    {
        using var model = new TalkingModel(template:
            "{% if messages[0].role == 'system' %}{{ raise_exception('no system message here') }}{% endif %}{{ " +
                "tools | tojson if tools else '' }}{% for m in messages %}{{ m.content }}{% endfor %}{% if " +
                "add_generation_prompt %}!{% endif %}");
        JsonArray tools = [new JsonObject { ["name"] = "look" }];
        using Conversation talk = model.Talk(tools: tools);
        Assert.Equal(model.Tokenizer.Encode("""[{"name": "look"}]hi!""").Length, talk.Reply("hi", Greedy).PromptTokens);
        talk.System = "x";
        Assert.Contains("no system message here", Assert.Throws<InputException>(() => talk.Reply("hi", Greedy)).Message,
            StringComparison.Ordinal);
        Assert.Equal(2, talk.Turns);
    }

    [Theory]
    [InlineData(null, "<|im_end|>")]
    [InlineData(
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% if m.role == 'assistant' %} <|im_end|>{% endif " +
        "%}{% endfor %}", "<|im_end|>")]
    [InlineData("{% for m in messages %}[{{ m.role }}]{{ m.content }}\n{% endfor %}", null)]
    [InlineData("{% for m in messages %}{{ m.role }}{{ m.content | upper }}<|im_end|>{% endfor %}", null)]
    public void The_token_that_ends_a_turn_is_found_by_the_template(string? template, string? expected)
    {
        using var model = new TalkingModel(template: template);
        int? found = ChatFormats.EndOfTurn(ChatFormats.ForTalking(model.Tokenizer), model.Tokenizer);
        Assert.Equal(expected is null ? null : model.Tokenizer.TokenToId(expected), found);
    }

    [Fact]
    public void A_reply_that_is_predicted_ends_with_its_turn()
    {
        using var model = new TalkingModel(
            template: "{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}<|im_end|>{% endif %}{% " +
            "endfor %}");
        using var scope = TorchSharp.torch.NewDisposeScope();
        int end = model.Tokenizer.TokenToId("<|im_end|>")!.Value;
        int[] prompt = model.Tokenizer.Encode("hi");
        int first = model.Generator.Generate([prompt], Greedy)[0][0];
        Assert.DoesNotContain(first, prompt);
        using (TorchSharp.torch.no_grad()) // the model now ends its turn where it said something else
        {
            TorchSharp.torch.Tensor weight = model.Model.Network.OutputHead!.Weight, ended = weight[end].clone();
            weight[end].copy_(weight[first]);
            weight[first].copy_(ended);
        }
        IReadOnlyList<int> goesOn = model.Generator.Generate([prompt], Greedy)[0];
        Assert.Equal((end, Greedy.MaxNewTokens), (goesOn[0], goesOn.Count));
        Assert.NotEqual("", model.Tokenizer.Decode(goesOn, skipSpecialTokens: true).Trim());
        var task = (IGeneratingTask)TaskRegistry.Get("causal_lm")
            .Start(model.Model, model.Tokenizer, new TaskSettings());
        var asked = new Row(
            default, new JsonObject { ["messages"] = new JsonArray(ChatFormats.Message("user", "hi")) });
        Assert.Equal("", Assert.Single(task.Generate([asked], 1, Greedy)));
    }

    [Fact]
    public void ChatMl_is_for_tokenizers_that_know_its_tokens()
    {
        using var model = new TalkingModel(special: ["<|im_start|>", "<|other|>"]);
        string message = Assert.Throws<InputException>(() => ChatFormats.ForTalking(model.Tokenizer)).Message;
        Assert.Contains("does not know <|im_end|>,", message, StringComparison.Ordinal);
        Assert.Contains("chat_template.jinja", message, StringComparison.Ordinal);
    }
}
