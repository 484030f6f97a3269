using LowRank.Hotels;

// usage: dotnet run --project tools/Hotels -- samples/hotels
string folder = args.Length == 1 ? args[0] : ".";
foreach ((string name, IReadOnlyList<string> lines) in HotelTask.Files())
{
    File.WriteAllText(Path.Combine(folder, name), string.Concat(lines.Select(line => line + "\n")));
    Console.WriteLine($"{name}: {lines.Count} rows");
}
