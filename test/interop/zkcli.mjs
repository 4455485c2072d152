export async function runZkCli() {}
