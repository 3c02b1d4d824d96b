// The AWS CLI as people run it, with nothing of this machine's own configuration.

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { administrator } from './weir.js'

// The command: AWS_CLI says which one where there are several.
export const cli = process.env.AWS_CLI ?? 'aws'
const config = fileURLToPath(new URL('aws.config', import.meta.url))

// environment is what a shell needs to run the CLI in: the key by default the administrator's of every deployment.
export function environment({ accessKeyId, secretAccessKey } = administrator) {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_'))
  return {
    ...Object.fromEntries(own),
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_CONFIG_FILE: config,
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_PAGER: '',
  }
}

// run runs a command to its end and returns { code, stdout, stderr }.
export function run(command, args, env = environment()) {
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { env, timeout: 60_000 }, (err, stdout, stderr) => {
      if (err && typeof err.code !== 'number') reject(new Error(`${command}: ${err.message}`))
      else resolve({ code: err?.code ?? 0, stdout, stderr })
    })
    child.stdin.end()
  })
}

// shell runs commands as somebody who pastes them into a shell.
export const shell = (commands, env) => run('bash', ['-euo', 'pipefail', '-c', `aws() { command ${cli} "$@"; }\n${commands}`], { ...environment(), ...env })

// commandLine returns a function that runs an operation at an endpoint and returns what it prints, read as JSON. An operation that fails
// throws what the CLI printed.
export function commandLine(endpoint, credentials) {
  return async (operation, ...args) => {
    const { code, stdout, stderr } = await run(cli, ['cognito-idp', operation, '--endpoint-url', endpoint, '--region', 'local', '--output', 'json', ...args], environment(credentials))
    if (code !== 0) throw Object.assign(new Error(stderr.trim()), { code })
    return stdout.trim() ? JSON.parse(stdout) : {}
  }
}
