using LowRank.Cli.Chat;
using LowRank.Generation;
using LowRank.Tests.Generation;

namespace LowRank.Tests.Cli;

public sealed class ChatLoopTests
{
    private static readonly GenerationOptions Sampled = new() { MaxNewTokens = 5, Temperature = 1.5, Seed = 3 };
    private static readonly GenerationOptions Greedy = new() { MaxNewTokens = 5 };

    [Fact]
    public void Messages_are_answered_and_commands_obeyed()
    {
        using var model = new TalkingModel();
        (string output, string notes, int failed) =
            Run(model, Greedy,
            "hi\n\n//clear\n/clear\nhi\n/nonsense\n/system be kind\n/system\n/help\n/exit\nnot read\n");
        using Conversation talk = model.Talk();
        string first = talk.Reply("hi", Greedy).Text, second = talk.Reply("/clear", Greedy).Text;
        Assert.Equal(Lines(first, second, first), output);
        string ended = "[The reply was cut off after 5 tokens (--max-new-tokens).]";
        Assert.Equal(
            Lines(ended, ended, "The conversation was cleared.", ended,
            $"/nonsense is not a command. Commands:\n{ChatLoop.Help}",
            "The system message was set.", "The system message was removed.", ChatLoop.Help), notes);
        Assert.Equal(0, failed);
    }

    [Fact]
    public void A_seed_repeats_the_whole_conversation_and_no_two_turns_share_one()
    {
        using var model = new TalkingModel();
        const string input = "hi\n/clear\nhi\n";
        string output = Run(model, Sampled, input).Output;
        Assert.Equal(output, Run(model, Sampled, input).Output);
        Assert.NotEqual(output, Run(model, Sampled with { Seed = 4 }, input).Output);
        Assert.NotEqual(Run(model, Sampled, "hi\n").Output + Run(model, Sampled, "hi\n").Output, output);
    }

    [Fact]
    public void A_message_that_does_not_fit_is_counted_and_the_talk_goes_on()
    {
        using var model = new TalkingModel(maxPositions: 60);
        (string output, string notes, int failed) = Run(model, Greedy, $"{new string('x', 60)}\nhi\n");
        Assert.Equal(1, failed);
        Assert.StartsWith("error: The conversation has ", notes, StringComparison.Ordinal);
        Assert.Contains("/clear", notes, StringComparison.Ordinal);
        Assert.Equal(Run(model, Greedy, "hi\n").Output, output);
    }

    [Fact]
    public void A_prompt_asks_on_a_terminal_alone()
    {
        using var model = new TalkingModel();
        Assert.Equal("> " + "> " + Environment.NewLine, Run(model, Sampled, "/system x\n", prompts: true).Output);
        Assert.Equal("", Run(model, Sampled, "/system x\n").Output);
    }

    [Fact]
    public void An_interrupt_ends_the_reply_and_the_next_is_whole()
    {
        using var model = new TalkingModel();
        using var interrupt = new ReplyInterrupt();
        Assert.False(interrupt.Interrupt()); // there is no reply: the program may end
        using Conversation talk = model.Talk();
        var notes = new StringWriter();
        var output = new InterruptingWriter(interrupt);
        new ChatLoop(talk, Greedy with { MaxNewTokens = 40 }, new StringReader("hi\nhi\n"), output, notes,
            prompts: false, interrupt).Run();
        Assert.Equal([true, false], output.Interrupted); // asked once to end, a second time is the program's end
        Assert.Equal(Lines("[The reply was stopped.]", "[The reply was cut off after 40 tokens (--max-new-tokens).]"),
            notes.ToString());
        Assert.Equal(4, talk.Turns);
    }

    private static (string Output, string Notes, int Failed) Run(
        TalkingModel model, GenerationOptions options, string input, bool prompts = false)
    {
        using Conversation talk = model.Talk();
        using var interrupt = new ReplyInterrupt();
        StringWriter output = new(), notes = new();
        int failed = new ChatLoop(talk, options, new StringReader(input), output, notes, prompts, interrupt).Run();
        return (output.ToString(), notes.ToString(), failed);
    }

    private static string Lines(params string[] lines) =>
        string.Concat(lines.Select(line => line + Environment.NewLine));

    // Interrupts twice at the first words.
    private sealed class InterruptingWriter(ReplyInterrupt interrupt) : StringWriter
    {
        public List<bool> Interrupted { get; } = [];

        public override void Write(string? value)
        {
            base.Write(value);
            if (Interrupted.Count == 0) Interrupted.AddRange([interrupt.Interrupt(), interrupt.Interrupt()]);
        }
    }
}
