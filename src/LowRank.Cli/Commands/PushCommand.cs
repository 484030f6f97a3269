using System.CommandLine;
using LowRank.Cli.Common;
using LowRank.Cli.Views;
using LowRank.Hub;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank push</c>.</summary>
internal sealed class PushCommand : ICliCommand
{
    public string Example => "lowrank push runs/quickstart/adapter my-name/hotels-lora --private";

    public Command Build()
    {
        var folder = new Argument<string>("folder") { Description = "Folder of an adapter or a model." };
        var name = new Argument<string>("name")
        {
            Description =
                "The repository on the Hugging Face Hub: org/name[@branch]. It is created if it does not exist.",
        };
        var message = new Option<string>("--message")
        {
            Description = "The commit's first line.",
            DefaultValueFactory = _ => "Upload with LowRank",
        };
        var isPrivate = new Option<bool>("--private") { Description = "Make the repository private if it is created." };
        return new Command("push",
            "Upload an adapter or a model to the Hugging Face Hub (HF_ENDPOINT), with the token from HF_TOKEN or a " +
            "login.")
            { folder, name, message, isPrivate }
            .Does(parsed =>
        {
            string given = parsed.GetRequiredValue(name);
            HubRepository repository = HubRepository.TryParse(given)
                ?? throw new InputException(
                    $"\"{given}\" is not the name of a repository; expected org/name or org/name@branch.");
            Console.WriteLine(
                HubUpload.Push(parsed.GetRequiredValue(folder), repository, parsed.GetRequiredValue(message),
                parsed.GetValue(isPrivate), HubOptions.FromEnvironment(), new DownloadProgress())
                .GetAwaiter().GetResult());
        }, OptionUse.Always(message, isPrivate));
    }
}
