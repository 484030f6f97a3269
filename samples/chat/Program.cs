// Talks with a model in its own chat template: chat MODEL [ADAPTER]. Ctrl+C ends a reply, an empty line the program.
using LowRank;
using LowRank.Generation;

if (args.Length is < 1 or > 2) 
    return Say("Usage: chat MODEL [ADAPTER]; each is a folder, or a name on the Hugging Face Hub.");
try
{
    await using LanguageModel model = await LanguageModel.LoadAsync(args[0]);
    if (args.Length > 1) await model.LoadAdapterAsync(args[1]);
    var sampling = new GenerationOptions { MaxNewTokens = 512, Temperature = 0.7, TopP = 0.9 };
    List<ChatMessage> talk = [];
    while (Ask() is { Length: > 0 } question)
    {
        using var stop = new CancellationTokenSource();
        ConsoleCancelEventHandler interrupt = (_, pressed) => { pressed.Cancel = true; stop.Cancel(); };
        Console.CancelKeyPress += interrupt;
        talk.Add(new ChatMessage("user", question));
        string answer = "";
        try
        {
            await foreach (string piece in model.ChatAsync(talk, sampling, stop.Token))
            {
                Console.Write(piece);
                answer += piece;
            }
        }
        catch (OperationCanceledException)
        {
            // What was said so far stands.
        }
        Console.CancelKeyPress -= interrupt;
        Console.WriteLine();
        talk.Add(new ChatMessage("assistant", answer));
    }
    return 0;
}
catch (InputException error)
{
    return Say(error.Message);
}

static string? Ask()
{
    Console.Write("> ");
    return Console.ReadLine();
}

static int Say(string problem)
{
    Console.Error.WriteLine(problem);
    return 2;
}
